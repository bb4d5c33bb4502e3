"""The report's style sheet: both themes, colour for meaning alone, marks that differ in shape as well as in colour; and what browsers may do with the page."""

import base64
import hashlib
from typing import Final

CSS: Final = """
:root{color-scheme:light dark;--bg:#fbfbfa;--card:#fff;--ink:#1c1e21;--soft:#5c6370;--line:#e2e4e8;--good:#14713d;--goodbg:#e3f4ea;--bad:#b3261e;
--badbg:#fdeceb;--attack:#b3261e;--benign:#5f6b7a;--finding:#8a5300;--response:#1d5fc2;--agent:#6b4fbb;--bar:#e9ebef}
@media (prefers-color-scheme:dark){:root{--bg:#121417;--card:#1a1d21;--ink:#e7e9ec;--soft:#a0a7b3;--line:#2d3238;--good:#6fd49a;--goodbg:#12301f;--bad:#ff8f87;
--badbg:#3a1a18;--attack:#ff8f87;--benign:#98a3b3;--finding:#f0b45c;--response:#82b1ff;--agent:#b9a5f5;--bar:#2a2f36}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",sans-serif}
main{max-width:1120px;margin:0 auto;padding:40px 32px 64px}
h1{font-size:28px;line-height:1.25;margin:8px 0 8px;font-weight:650;letter-spacing:-.01em;text-wrap:balance}
h2{font-size:17px;margin:40px 0 12px;font-weight:650}
p{margin:0 0 8px;max-width:76ch}
.soft{color:var(--soft)}
.mono,td.place,td.num,code{font-family:ui-monospace,"SF Mono","JetBrains Mono",Menlo,Consolas,monospace;font-size:13px;font-variant-numeric:tabular-nums}
.badge{display:inline-block;padding:2px 12px;border-radius:999px;font-weight:650;font-size:14px}
.pass{color:var(--good);background:var(--goodbg)}
.fail{color:var(--bad);background:var(--badbg)}
.chip{display:inline-block;border:1px solid var(--line);border-radius:6px;padding:0 8px;margin:0 8px 8px 0;font-size:13px;color:var(--soft)}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(168px,1fr));gap:16px;margin:24px 0 0}
.tile{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:14px 16px}
.tile b{display:block;font-size:24px;line-height:1.2;font-weight:650;font-variant-numeric:tabular-nums;margin:2px 0}
.tile span{color:var(--soft);font-size:13px}
.card{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:16px;overflow-x:auto}
table{border-collapse:collapse;width:100%}
th{text-align:left;font-weight:600;font-size:13px;color:var(--soft);padding:6px 12px 6px 0;border-bottom:1px solid var(--line);white-space:nowrap}
td{padding:7px 12px 7px 0;border-bottom:1px solid var(--line);vertical-align:top;overflow-wrap:anywhere}
tr:last-child td{border-bottom:0}
td.num,th.num{text-align:right;white-space:nowrap}
td.place{white-space:nowrap;color:var(--soft)}
td.mark{width:24px;font-weight:700}
.who{white-space:nowrap}
tr.broken td{background:var(--badbg)}
.yes{color:var(--good)}.no{color:var(--bad)}
.lane{white-space:nowrap;font-weight:600;font-size:13px}
.attack{color:var(--attack)}.benign{color:var(--benign)}.finding{color:var(--finding)}.response{color:var(--response)}.agent{color:var(--agent)}
svg{display:block;width:100%;height:auto;min-width:720px}
svg text{font:12px system-ui,sans-serif;fill:var(--soft)}
svg .lanename{font-weight:600;font-size:13px}
svg .grid{stroke:var(--line)}
svg .attack{fill:var(--attack)}svg .benign{fill:var(--benign)}svg .finding{fill:var(--finding)}svg .response{fill:var(--response)}svg .agent{fill:var(--agent)}
svg .ring{fill:var(--card);stroke:var(--attack);stroke-width:2}
svg .hop{fill:var(--response)}svg .hopbg{fill:var(--bar)}svg .value{fill:var(--ink);font-size:13px;font-variant-numeric:tabular-nums}
details summary{cursor:pointer;color:var(--soft);margin:8px 0}
footer{margin-top:48px;border-top:1px solid var(--line);padding-top:16px;color:var(--soft);font-size:13px}
footer p{max-width:none}
@media print{body{background:#fff}.card,.tile{break-inside:avoid}}
"""


def policy() -> str:
    """Nothing is loaded from anywhere, no script runs, and this style sheet alone applies (CSP Level 3, section 2.3.1: by its hash)."""
    digest = base64.b64encode(hashlib.sha256(CSS.encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
