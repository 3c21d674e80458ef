"""Every screen there is: who looks, the route it belongs to, and its address in a filled hub."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Screen:
    """`path` names what stands in the filled hub; `route` is the desk's own pattern, '' beyond the desk."""

    who: str  # '' for somebody who is not logged in
    path: str
    route: str = ""
    is_bilingual: bool = True  # False: the address itself has one language, or the page has one


_R, _L = "/console/reports/{id}", "/console/releases/{id}"
DESK = (
    Screen("officer", "/console", "/console"),
    Screen("officer", "/console?view=all", "/console"),
    Screen("auditor", "/console?view=all", "/console"),
    Screen("officer", "/console/find", "/console/find"),
    Screen("officer", "/console/find?q=江滨", "/console/find"),
    Screen("officer", "/console/shelf", "/console/shelf"),
    Screen("officer", "/console?view=aside", "/console"),
    Screen("admin", "/console/senders", "/console/senders"),
    Screen("admin", "/console/handovers", "/console/handovers"),
    Screen("officer", "/console/degraded", "/console/degraded"),
    Screen("officer", "/console/shift", "/console/shift"),
    Screen("approver", "/console/shift", "/console/shift"),
    Screen("officer", "/console/field", "/console/field"),
    Screen("admin", "/console/field", "/console/field"),
    Screen("officer", "/console/bulletins", "/console/bulletins"),
    Screen("officer", "/console/bulletins/bul_none", "/console/bulletins/{id}"),
    Screen("admin", "/console/peers", "/console/peers"),
    Screen("admin", "/console/grants", "/console/grants"),
    Screen("auditor", "/console/grants", "/console/grants"),
    Screen("security", "/console/quarantine", "/console/quarantine"),
    Screen("officer", "/console/clocks", "/console/clocks"),
    Screen("officer", "/console/briefs", "/console/briefs"),
    Screen("officer", "/console/briefs/new?report={phone}&kind=first", "/console/briefs/new"),
    Screen("officer", "{brief}", "/console/briefs/{id}"),
    Screen("officer", "{brief}/print", "/console/briefs/{id}/print", is_bilingual=False),
    Screen("officer", "/console/clocks/late", "/console/clocks/late"),
    Screen("approver", "/console/clocks/rules", "/console/clocks/rules"),
    Screen("officer", "/console/calls/new", "/console/calls/new"),
    Screen("officer", "{slip}", "/console/calls/{id}"),
    Screen("officer", "{kept}", "/console/calls/kept"),
    Screen("officer", "/console/reports/{claimed}", _R),
    Screen("approver", "/console/reports/{claimed}", _R),
    Screen("officer", "/console/reports/{phone}", _R),
    Screen("officer", "/console/reports/{closed}", _R),
    Screen("auditor", "/console/reports/{web}", _R),
    Screen("officer", "/console/reports/rep_none", _R),
    Screen("officer", "/console/incidents", "/console/incidents"),
    Screen("officer", "/console/incidents/inc_none", "/console/incidents/{id}"),
    Screen("admin", "/console/recipients", "/console/recipients"),
    Screen("admin", "{good_list}", "/console/imports/{id}"),
    Screen("admin", "{bad_list}", "/console/imports/{id}"),
    Screen("officer", "/console/releases", "/console/releases"),
    Screen("approver", "/console/releases", "/console/releases"),
    Screen("officer", "/console/releases/new", "/console/releases/new"),
    Screen("officer", "/console/releases/new?template=heavy_rain", "/console/releases/new"),
    Screen("officer", "/console/releases/{draft}", _L),
    Screen("officer", "/console/releases/{submitted}", _L),
    Screen("approver", "/console/releases/{submitted}", _L),
    Screen("officer", "/console/releases/{in_force}", _L),
    Screen("officer", "/console/releases/{sending}", _L),
    Screen("officer", "/console/releases/{lifted}", _L),
    Screen("officer", "/console/releases/{corrected}", _L),
    Screen("officer", "/console/releases/{stopped}", _L),
    Screen("officer", "/console/releases/{first}", _L),
    Screen("officer", "/console/releases/{update}", _L),
    Screen("officer", "/console/releases/{draft}/edit", f"{_L}/edit"),
    Screen("officer", "/console/releases/{in_force}/update", f"{_L}/update"),
    Screen("officer", "/console/releases/{sending}/stop", f"{_L}/stop"),
    Screen("officer", "/console/releases/{in_force}/lift", f"{_L}/lift"),
    Screen("officer", "/console/releases/{in_force}/correct", f"{_L}/correct"),
    Screen("", "/login", "/login"),
    Screen("", "{link}", "/login/{token}"),
)
# What the desk answers that no person looks at as a page.
NO_SCREENS = {
    "/console/{style:str}.css", "/console/static/{script:str}", "/console/stream",
    "/console/rows", "/console/counts", "/console/slips/held", "/console/news",  # pieces of the pages above
    "/console/handovers/turned_down",
    f"{_R}/original", f"{_R}/attachments/{{sha256}}", f"{_R}/attachments/{{sha256}}/preview",
    "/console/briefs/{id}/pdf", "/console/bulletins/{id}/original", "/console/calls/{id}/line",
    f"{_R}/attachments/{{sha256}}/pages/{{n}}",
    f"{_R}/attachments/{{sha256}}/thumbnail", f"{_L}/artefacts/{{artefact}}",  # downloads
}  # fmt: skip
CITIZENS = tuple(Screen("", path) for path in ("/report", "/report/state", "/report/r/{key}", "/report/s/{key}",
                                               "/report/s/forged"))  # fmt: skip
_STATES = (
    "in_force",
    "lifted",
    "corrected",
    "stopped",
    "first",
    "update",
    "notice",
    "earthquake",
    "unlifted",
)
_PLACES = ("/", "/past/", "/past/{month}/", "/a/", "/a/990101000000/", "/feeds/",
           *(f"/alerts/{{{state}}}/" for state in _STATES))  # fmt: skip
PUBLIC = tuple(Screen("", tree + place, is_bilingual=False) for place in _PLACES for tree in ("", "/en"))
FIELD = (
    Screen("field", "/field"),
    Screen("field", "/field?big=1"),
    Screen("officer", "/field", is_bilingual=False),
)
BESIDE = (Screen("", "/demo/outbox?live=0"), Screen("", "/api/docs", is_bilingual=False),
          Screen("", "/no-such-page", is_bilingual=False))  # fmt: skip
EVERY = (*DESK, *CITIZENS, *FIELD, *BESIDE, *PUBLIC)
