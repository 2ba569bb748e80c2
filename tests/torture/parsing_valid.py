"""RFC 4475 section 3.1.1, first half: odd, and valid to the letter."""

from torture.case import TAKEN, Answer, Case, wire

SDP = (
    b"v=0\r\no=miller 771 772 IN IP4 192.0.2.61\r\ns=-\r\nc=IN IP4 192.0.2.61\r\nt=0 0\r\nm=audio 40210 RTP/AVP 0 8\r\n"
)

CASES = (
    Case(
        4475,
        "3.1.1.1",
        "tortuous-invite",
        "folding everywhere, escapes in quotes, an empty Subject, blanks round colons, semicolons and slashes, "
        "lists and repeated lines, compact forms, odd case and order, unknown headers and parameters, leading zeros",
        wire(
            r"""
INVITE sip:stone@quern.test;grindsize SIP/2.0
tO :
 sip:stone@quern.test ;   tag    = 20202x7n
fRoM   : "Q \\\" Miller \\\""       <sip:miller@mill.test>
  ;
  tag = 77zxw
mAX-forwards: 0051
call-id: tort.kk2sd@192.0.2.71
CONTENT-length   : LENGTH
CsEq: 0013
  INVITE
VIA  : SIP  /   2.0
 /UDP
    192.0.2.72;branch=81msdfk
S :
HeaderOfTomorrow:   a value that
 goes on here
ValueThatIsNoList: ,;;,,;;;,
content-TYPE: application/sdp
ROUTE:
 <sip:sluice.mill.test;lr;depth=3;open>
V:  SIP  / 2.0  / TCP     weir.mill.test   ;
  branch  =   z9hG4bKweir3  ,
 SIP  /    2.0   / UDP  192.168.254.9   ; branch=
 z9hG4bKpond9
M:"A \"round\" stone" <sip:miller@mill.test> ; newparam =
      new ;
  second ; q = 0.25
""",
            SDP,
        ),
        TAKEN,
        {
            "method": "INVITE",
            "request_uri|params": {"grindsize": None},
            "to|tag": "20202x7n",
            "to|uri|user": "stone",
            "from_|display_name": 'Q \\" Miller \\"',
            "from_|tag": "77zxw",
            "max_forwards": 51,
            "cseq": (13, "INVITE"),
            "vias|len": 3,
            "vias|0|branch": "81msdfk",
            "vias|1|transport": "TCP",
            "vias|1|host": "weir.mill.test",
            "vias|1|branch": "z9hG4bKweir3",
            "vias|2|branch": "z9hG4bKpond9",
            "headers|Subject": "",
            "headers|HeaderOfTomorrow": "a value that goes on here",
            "headers|valuethatisnolist": ",;;,,;;;,",
            "content_type|essence": "application/sdp",
            "routes|0|uri|params": {"lr": None, "depth": "3", "open": None},
            "contacts|0|display_name": 'A "round" stone',
            "contacts|0|params": {"newparam": "new", "second": None, "q": "0.25"},
            "body": SDP,
        },
        proxy=TAKEN,
    ),
    Case(
        4475,
        "3.1.1.2",
        "wide-characters",
        "every token character in the method, the branch, a tag and a header name; BEL, NUL and DEL escaped in a "
        "quoted string; a user part with a password; UTF-8; brackets that do not match in Call-ID",
        wire(
            "!odd-Method0123456789_*+`.%really'~ "
            "sip:9_odd.URI~(yes-or!no)&don't+ask$/why?,/;;*:&or+how=2,odd!*pa$sw~rd_so.(it-is)@mill.test SIP/2.0\n"
            "Via: SIP/2.0/TCP gate.mill.test;branch=z9hG4bK-.!%77*_+`'~\n"
            'To: "BEL:\\\x07 NUL:\\\x00 DEL:\\\x7f" <sip:9_odd.URI~(yes-or!no)&don\'t+ask$/why?,/;;*@mill.test>\n'
            "From: word1~` word2'+_ word3*%!.- <sip:plain@mill.test>"
            ";fromParm''~+*_!.-%=\"мельница\";tag=_word~2'+`*%!-.\n"
            "Call-ID: odd.word%YJ-!.*_+'@word`~)(><:\\/\"][?}{\n"
            "CSeq: 771204 !odd-Method0123456789_*+`.%really'~\n"
            "Max-Forwards: 255\n"
            "oddHeader-!.%*+_`'~:\ufeff水車\n"
            "Content-Length: 0"
        ),
        Answer(501, {"Allow": "INVITE"}),
        {
            "method": "!odd-Method0123456789_*+`.%really'~",
            "request_uri|user": "9_odd.URI~(yes-or!no)&don't+ask$/why?,/;;*",
            "request_uri|password": "&or+how=2,odd!*pa$sw~rd_so.(it-is)",
            "request_uri|host": "mill.test",
            "via|branch": "z9hG4bK-.!%77*_+`'~",
            "to|display_name": "BEL:\x07 NUL:\x00 DEL:\x7f",
            "from_|display_name": "word1~` word2'+_ word3*%!.-",
            "from_|tag": "_word~2'+`*%!-.",
            "from_|params|fromparm''~+*_!.-%": '"мельница"',
            "call_id": "odd.word%YJ-!.*_+'@word`~)(><:\\/\"][?}{",
            "cseq|number": 771204,
            "max_forwards": 255,
            "headers|oddheader-!.%*+_`'~": "\ufeff水車",
        },
        proxy=TAKEN,
        note="An endpoint that does not know the method says so, with the methods that it knows.",
    ),
    Case(
        4475,
        "3.1.1.3",
        "valid-escapes",
        "an escaped colon and @ in the user part, escaped plain letters in it, blanks, and escapes in the name and "
        "in the value of a URI parameter",
        wire("""
INVITE sip:sips%3Agrist%40mill.test@quern.test SIP/2.0
To: sip:%67ri%73t@mill.test
From: <sip:two%20words%20here@quern.test>;tag=1938
Max-Forwards: 70
Call-ID: esc1.a7xc@host9.mill.test
CSeq: 88 INVITE
Via: SIP/2.0/UDP host9.mill.test;branch=z9hG4bKesc1
Contact: <sip:hop%70er@host9.mill.test;%6C%72;n%61me=v%61lue%25%34%31>
Content-Length: 0
"""),
        TAKEN,
        {
            "request_uri|username": "sips:grist@mill.test",
            "request_uri|host": "quern.test",
            "to|uri|username": "grist",
            "from_|uri|username": "two words here",
            "contacts|0|uri|username": "hopper",
            "contacts|0|uri|params": {"lr": None, "name": "v%61lue%25%34%31"},
            "contacts|0|uri_text": "sip:hop%70er@host9.mill.test;%6C%72;n%61me=v%61lue%25%34%31",
        },
        proxy=TAKEN,
    ),
    Case(
        4475,
        "3.1.1.4",
        "escaped-nul",
        "%00 in user parts: an escape like any other, and the end of nothing",
        wire("""
REGISTER sip:mill.test SIP/2.0
To: sip:nul-%00-nul@mill.test
From: sip:nul-%00-nul@mill.test;tag=2339
Max-Forwards: 70
Call-ID: nul.90wk@host9.mill.test
CSeq: 5417 REGISTER
Via: SIP/2.0/UDP host9.mill.test;branch=z9hG4bKnul
Contact: <sip:%00@host9.mill.test>
Contact: <sip:%00%00@host9.mill.test>
L:0
"""),
        TAKEN,
        {
            "to|uri|username": "nul-\0-nul",
            "contacts|len": 2,
            "contacts|0|uri|username": "\0",
            "contacts|1|uri|username": "\0\0",
        },
        proxy=TAKEN,
    ),
    Case(
        4475,
        "3.1.1.5",
        "percent-without-escape",
        "% in a method, a display name, a Call-ID and a branch, where it escapes nothing",
        wire("""
RE%47IST%45R sip:records.mill.test SIP/2.0
To: "%Z%45" <sip:thing@mill.test>
From: "%Z%45" <sip:thing@mill.test>;tag=t77
Max-Forwards: 70
Call-ID: esc2%41.pz8@mill.test
CSeq: 8812 RE%47IST%45R
Via: SIP/2.0/TCP host9.mill.test;branch=z9hG4bK77%sluice
Contact: <sip:one@host9.mill.test>
Contact: <sip:tw%6F@host9.mill.test>
Contact: <sip:thr%65e@host9.mill.test>
l: 0
"""),
        Answer(501, {"Allow": "REGISTER"}),
        {
            "method": "RE%47IST%45R",
            "to|display_name": "%Z%45",
            "from_|display_name": "%Z%45",
            "call_id": "esc2%41.pz8@mill.test",
            "via|branch": "z9hG4bK77%sluice",
            "contacts|2|uri|username": "three",
        },
        proxy=TAKEN,
        note="The method is not REGISTER, and known to nobody.",
    ),
    Case(
        4475,
        "3.1.1.6",
        "no-blank-before-bracket",
        "no blank between a display name of tokens and <",
        wire("""
OPTIONS sip:thing@mill.test SIP/2.0
To: sip:thing@mill.test
From: hopper<sip:hopper@mill.test>;tag=923
Max-Forwards: 70
Call-ID: nolws.7788@host9.mill.test
CSeq: 60 OPTIONS
Via: SIP/2.0/UDP host9.mill.test;branch=z9hG4bKnolws
l: 0
"""),
        TAKEN,
        {"from_|display_name": "hopper", "from_|uri|user": "hopper", "from_|tag": "923"},
        proxy=TAKEN,
    ),
)
