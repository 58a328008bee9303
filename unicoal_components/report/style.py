"""How the page looks, by day and by night."""

STYLE = """
:root { color-scheme: light dark; --back: #fcfcfb; --text: #1d2329; --soft: #5c6670; --line: #d9dde1; --card: #f2f4f5;
  --accent: #0b62a8; --ours: #e4effa; --warn: #7a3c00; --warn-back: #fff0d9; --warn-line: #e59a2f; --good: #16703a;
  --bad: #b3261e; --second: #b45f06; }
@media (prefers-color-scheme: dark) {
  :root { --back: #14181c; --text: #e3e7ea; --soft: #9aa5ae; --line: #333b43; --card: #1d2329; --accent: #6cb6f5;
    --ours: #17324a; --warn: #ffd9a0; --warn-back: #3a2808; --warn-line: #b97b1e; --good: #6fd08f; --bad: #ff8a80;
    --second: #f0a35a; }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--back); color: var(--text); line-height: 1.5;
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
main { max-width: 1280px; margin: 0 auto; padding: 28px 28px 80px; }
h1 { font-size: 27px; line-height: 1.2; margin: 0 0 4px; font-weight: 650; }
h2 { font-size: 20px; margin: 44px 0 10px; padding-top: 14px; border-top: 1px solid var(--line); font-weight: 650; }
h3 { font-size: 16px; margin: 24px 0 6px; }
h4 { font-size: 14px; margin: 16px 0 2px; }
h4 + p { margin: 0 0 6px; color: var(--soft); font-size: 13px; }
p { max-width: 92ch; margin: 6px 0 12px; }
ul { margin: 4px 0 12px; padding-left: 20px; max-width: 92ch; }
a { color: var(--accent); }
code, pre { font: 12.5px/1.45 ui-monospace, "SF Mono", Menlo, Consolas, monospace; overflow-wrap: anywhere; }
pre { background: var(--card); padding: 12px; border-radius: 6px; overflow: auto; white-space: pre-wrap; }
.facts { color: var(--soft); margin: 0 0 14px; }
nav { display: flex; flex-wrap: wrap; gap: 2px 18px; margin: 14px 0 0; font-size: 14px; }
.marks { list-style: none; padding: 0; margin: 14px 0; display: grid; gap: 8px; }
.marks li { background: var(--warn-back); color: var(--warn); border-left: 5px solid var(--warn-line);
  padding: 9px 14px; font-weight: 650; border-radius: 4px; }
.hint, .legend { color: var(--soft); font-size: 13.5px; }
.wide { overflow-x: auto; margin: 6px 0 14px; }
table { border-collapse: collapse; font-size: 13.5px; }
th, td { text-align: left; padding: 5px 12px; border-bottom: 1px solid var(--line); vertical-align: top; }
thead th { color: var(--soft); font-weight: 600; white-space: nowrap; border-bottom: 2px solid var(--line); }
tbody th { font-weight: 550; }
.numbers td, .numbers thead th { white-space: nowrap; font-variant-numeric: tabular-nums; }
tr.ours > *, td.ours { background: var(--ours); }
tr.ours > th { box-shadow: inset 4px 0 var(--accent); font-weight: 700; }
td b { font-weight: 750; }
.oracle { color: var(--warn); font-weight: 400; font-style: italic; white-space: nowrap; }
td.none { color: var(--soft); }
.interval { display: block; color: var(--soft); font-size: 11.5px; }
.mark { margin-left: 5px; font-size: 12px; cursor: help; }
.mark.better { color: var(--good); } .mark.worse { color: var(--bad); }
details { margin: 8px 0; }
summary { cursor: pointer; padding: 5px 0; }
section > details { border: 1px solid var(--line); border-radius: 8px; padding: 6px 16px; background: var(--back); }
.controls { display: flex; flex-wrap: wrap; gap: 10px 20px; align-items: center; margin: 8px 0 10px; font-size: 14px; }
select, button { font: inherit; padding: 4px 8px; border: 1px solid var(--line); border-radius: 5px; max-width: 430px;
  background: var(--card); color: var(--text); }
.canvases { display: grid; grid-template-columns: repeat(3, minmax(0, 1fr)); gap: 10px; }
.canvases figure { margin: 0; background: #000; border-radius: 8px; overflow: hidden; }
.canvases figcaption { display: flex; justify-content: space-between; padding: 6px 12px; background: #000;
  color: #e3e7ea; font-size: 14px; font-variant-numeric: tabular-nums; }
.screen { position: relative; aspect-ratio: 1; }
.screen canvas { position: absolute; inset: 0; width: 100%; height: 100%; outline: none; }
#viewer-status:empty { display: none; }
.panel { margin: 0 0 18px; } .panel img { max-width: 100%; display: block; border-radius: 6px; background: #000; }
.panel figcaption { font-size: 13.5px; margin-bottom: 4px; color: var(--soft); }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(340px, 1fr)); gap: 8px 24px; }
.chart { margin: 8px 0; width: 460px; max-width: 100%; } .chart svg { width: 100%; height: auto; display: block; }
.chart text { fill: var(--soft); font-size: 11.5px; } .chart text.x, .chart text.axis { text-anchor: middle; }
.chart text.y { text-anchor: end; } .chart .grid { stroke: var(--line); fill: none; }
.chart path.line { fill: none; stroke-width: 1.8; stroke: var(--accent); stroke-linejoin: round; }
.chart path.second { stroke: var(--second); } .chart path.ideal { stroke: var(--soft); stroke-dasharray: 3 4; }
.chart circle { fill: var(--accent); } .chart circle.second { fill: var(--second); }
.chart figcaption { display: flex; flex-wrap: wrap; gap: 4px 18px; padding-left: 62px; font-size: 13px; }
.chart figcaption i { display: inline-block; width: 20px; margin-right: 6px; vertical-align: middle;
  border-top: 2.5px solid var(--accent); }
.chart figcaption i.second { border-color: var(--second); }
.chart figcaption i.ideal { border-top: 2.5px dotted var(--soft); }
footer { margin-top: 48px; border-top: 1px solid var(--line); padding-top: 12px; color: var(--soft); font-size: 13px; }
@media (max-width: 760px) { main { padding: 16px; } .canvases { grid-template-columns: 1fr; } }
@media print { #look, nav { display: none; } .panel, table { break-inside: avoid; } }
"""
