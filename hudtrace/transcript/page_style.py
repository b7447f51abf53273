"""How the HTML file of an episode looks: light and dark, on screens and on paper."""

from __future__ import annotations

from typing import Final

STYLE: Final = """
:root{color-scheme:light dark;--bg:light-dark(#fff,#111317);--fg:light-dark(#1b1e24,#e5e7eb);
--mut:light-dark(#5b6472,#9aa3b2);--line:light-dark(#e1e4ea,#2a303a);--panel:light-dark(#f6f7f9,#181b21);
--ok:light-dark(#14734a,#4cc38a);--bad:light-dark(#c0272d,#ff8078);--eval:light-dark(#2563c9,#6ca6ff);
--agent:light-dark(#64748b,#8493a8);--model:light-dark(#7450d6,#a98bfa);--tool:light-dark(#0c7f74,#2fc9b8);
--reward:light-dark(#a16207,#e2b04a)}
*{box-sizing:border-box}
body{margin:0 auto;max-width:1100px;padding:1rem 1.5rem 4rem;background:var(--bg);color:var(--fg);
font:14px/1.5 system-ui,sans-serif;font-variant-numeric:tabular-nums}
h1{font-size:1.35rem;overflow-wrap:anywhere}h2{margin:2rem 0 .5rem;font-size:1.1rem}
h3{margin:0;font-size:1rem;overflow-wrap:anywhere}
a{color:inherit}.good{color:var(--ok)}.bad,.failed{color:var(--bad)}.mut{color:var(--mut)}
.verdict{margin:.25rem 0;overflow-wrap:anywhere;white-space:pre-wrap}
dl{display:flex;flex-wrap:wrap;gap:.25rem 1.5rem;margin:.75rem 0}dt{color:var(--mut);font-size:.8rem}dd{margin:0;overflow-wrap:anywhere}
article{margin:.75rem 0;padding:.6rem .9rem;border:1px solid var(--line);border-left:3px solid var(--agent);border-radius:6px}
article.call{border-left-color:var(--model)}article.tool{border-left-color:var(--tool)}
article.reward,article.answer{border-left-color:var(--reward)}article.error{border-left-color:var(--bad)}
section{margin:.6rem 0 0}section>b{font-size:.8rem;color:var(--mut)}section.output>b{color:var(--model)}
pre{margin:.25rem 0;padding:.5rem .7rem;max-height:32em;overflow:auto;white-space:pre-wrap;overflow-wrap:anywhere;
background:var(--panel);border-radius:4px;font:12.5px/1.5 ui-monospace,monospace}
.asked{margin:.4rem 0 0;padding-left:.7rem;border-left:2px solid var(--tool)}
.rewritten{margin:.6rem 0;border-top:2px dashed var(--reward);color:var(--reward);font-weight:600}
img{display:block;max-width:100%;max-height:30rem;margin:.25rem 0;border:1px solid var(--line)}
table{width:100%;border-collapse:collapse;table-layout:fixed}th{text-align:left;color:var(--mut);font-weight:500}
th:nth-child(1){width:42%}th:nth-child(2),th:nth-child(3){width:6rem}
td{padding:.1rem .25rem;border-bottom:1px solid var(--line);white-space:nowrap;overflow:hidden;text-overflow:ellipsis}
td.bar{position:relative;padding:0}td.bar i{position:absolute;top:25%;height:50%;min-width:2px;border-radius:2px;background:var(--agent)}
tr.eval i{background:var(--eval)}tr.model i{background:var(--model)}tr.tool i{background:var(--tool)}tr.reward i{background:var(--reward)}
tr.failed i{background:var(--bad)}
:target{outline:2px solid var(--eval)}
@media print{pre{max-height:none}article,tr{break-inside:avoid-page}body{max-width:none;padding:0}
td.bar i{print-color-adjust:exact;-webkit-print-color-adjust:exact}}
"""
