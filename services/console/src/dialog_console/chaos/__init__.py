"""``dialog-sip chaos``: a seeded schedule of faults against the running system, and what must hold afterwards.

Theory of operation. ``model`` decides, without I/O: which fault when (``schedule``, with the guard that keeps one
registrar within reach), which rows are edited when and what the table says in the end (``edits``), and what the
evidence proves (``verdicts``). Round it stand the system under test with its two PBXs (``world``), who does the faults
(``injector``), who edits the table (``editor``), and who collects the evidence (``evidence``, ``canary``). ``run`` puts
them together: start, let the table be registered, let faults and edits happen, wait until it is calm, judge.

The same seed gives the same schedule and the same edits. When a process is back, and how far an edit comes in an
outage, is up to the system.
"""
