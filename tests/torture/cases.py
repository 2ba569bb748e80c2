"""Every torture case, in the order of the RFCs."""

from torture import beyond_parsing, ipv6, parsing_invalid, parsing_valid, parsing_valid_more
from torture.case import Case

CASES: tuple[Case, ...] = (
    *parsing_valid.CASES,
    *parsing_valid_more.CASES,
    *parsing_invalid.CASES,
    *beyond_parsing.CASES,
    *ipv6.CASES,
)
