/** The frame around every page, and which page belongs to which path. */

import { Icon, Problem, Spinner, Theme, copy, setTheme, theme } from "./bits.mjs";
import { Component, html, render, useCallback, useEffect, useLayoutEffect, useState } from "./html.mjs";
import { useKeys } from "./keys.mjs";
import { useLiveState } from "./live.mjs";
import { navigate, useRoute } from "./router.mjs";
import { nextTheme } from "./theme.mjs";
import { Toasts } from "./toasts.mjs";

const ID = "([0-9a-f]{32})";

/** Load a page's module together with its style sheets. */
async function styled(page, ...sheets) {
  const [module] = await Promise.all([page, ...sheets.map(sheet)]);
  return module;
}

const sheetsOf = new Map();

function sheet(name) {
  const known = sheetsOf.get(name);
  if (known) return known;
  const link = document.createElement("link");
  link.rel = "stylesheet";
  link.href = new URL(`../css/${name}.css`, import.meta.url).href;
  const loaded = new Promise((done) => (link.onload = link.onerror = done));
  sheetsOf.set(name, loaded);
  document.head.append(link);
  return loaded;
}

/** [path, title, module, the names of its parts]; a module is loaded when it is needed. */
const ROUTES = [
  [/^\/$/, "Episodes", () => import("./pages/episodes.mjs"), []],
  [/^\/jobs$/, "Jobs", () => import("./pages/jobs.mjs"), []],
  [/^\/job\/([^/]+)$/, "Job", () => import("./pages/job.mjs"), ["id"]],
  [/^\/traces$/, "Traces", () => import("./pages/traces.mjs"), []],
  [new RegExp(`^/trace/${ID}$`, "i"), "Episode", () => styled(import("./trace/page.mjs"), "trace"), ["id"]],
  [new RegExp(`^/diff/${ID}\\.\\.\\.${ID}$`, "i"), "Diff", () => styled(import("./diff.mjs"), "trace", "diff"), ["a", "b"]],
  [/^\/search$/, "Search", () => import("./pages/search.mjs"), []],
  [/^\/setup$/, "Setup", () => import("./pages/setup.mjs"), []],
  [/^\/t\/([^/]+)$/, "Which one?", () => import("./pages/choose.mjs"), ["prefix"]],
  [/^\/trace\/([0-9a-f]{6,31})$/i, "Which one?", () => import("./pages/choose.mjs"), ["prefix"]],
];
const NOWHERE = ["Not found", () => import("./pages/nowhere.mjs"), {}];

const NAV = [
  ["/", "Episodes", /^\/($|trace\/|diff\/|t\/)/],
  ["/jobs", "Jobs", /^\/jobs?(\/|$)/],
  ["/traces", "Traces", /^\/traces/],
  ["/search", "Search", /^\/search/],
  ["/setup", "Setup", /^\/setup/],
];

/** [title, load, parameters] of a path. */
function match(path) {
  for (const [pattern, title, load, names] of ROUTES) {
    const found = pattern.exec(path);
    if (!found) continue;
    const parts = names.map((name, i) => [name, decodeURIComponent(found[i + 1])]);
    return [title, load, Object.fromEntries(parts)];
  }
  return NOWHERE;
}

/** Say what a page could not do, in its place; the frame stays. */
class Safe extends Component {
  componentDidCatch(error) {
    console.error(error);
    this.setState({ error });
  }

  componentDidUpdate(before) {
    if (before.path !== this.props.path && this.state.error) this.setState({ error: null });
  }

  render({ children }, { error }) {
    return error ? html`<${Problem} error=${error} retry=${() => this.setState({ error: null })} />` : children;
  }
}

const pages = new Map();

function Page({ path }) {
  const [title, load, parameters] = match(path);
  const [, loaded] = useState(0);
  const [error, setError] = useState(null);
  const Shown = pages.get(load.toString());
  useEffect(() => {
    document.title = `${title} · hudtrace`;
    setError(null);
    if (Shown) return;
    load().then((module) => {
      pages.set(load.toString(), module.default);
      loaded((n) => n + 1);
    }, setError);
  }, [path]);
  if (error) return html`<${Problem} error=${error} retry=${() => location.reload()} />`;
  return Shown ? html`<${Shown} key=${Object.values(parameters).join()} ...${parameters} />` : html`<${Spinner} />`;
}

const DIALOGS = { palette: () => import("./palette.mjs"), help: () => import("./help.mjs") };

/** A dialog that is loaded when it is first asked for. */
function Asked({ name, close }) {
  const [Shown, setShown] = useState(null);
  useEffect(() => {
    let current = true;
    DIALOGS[name]().then((module) => current && setShown(() => module.default));
    return () => (current = false);
  }, [name]);
  return Shown && html`<${Shown} close=${close} />`;
}

const MAC = /mac|iphone|ipad/i.test(navigator.platform);

const LIVE = { connecting: "connecting", live: "live", offline: "the server does not answer" };

function Header({ path, openPalette, openHelp }) {
  const live = useLiveState();
  return html`<header class="top">
    <a class="brand" href="/" aria-label="hudtrace, episodes"><svg viewBox="0 0 16 16" aria-hidden="true"><rect width="16" height="16" rx="4" /><path d="M3.5 4.5h6M5.5 8h7M8 11.5h3" /></svg><b>hudtrace</b></a>
    <nav aria-label="Pages">
      ${NAV.map(([href, label, here]) => html`<a key=${href} href=${href} aria-current=${here.test(path) ? "page" : null}>${label}</a>`)}
    </nav>
    <span class=${`live-state ${live}`} role="status" title=${LIVE[live]}><i aria-hidden="true"></i><span class=${live === "offline" ? "" : "sr"}>${LIVE[live]}</span></span>
    <button type="button" class="find" onClick=${openPalette} title=${`Go to a page or a trace id (${MAC ? "⌘K" : "Ctrl K"})`}>
      <${Icon} name="search" /><span>Go to…</span><kbd>${MAC ? "⌘K" : "Ctrl K"}</kbd>
    </button>
    <button type="button" class="quiet" onClick=${openHelp} title="Keyboard (?)" aria-label="Keyboard"><${Icon} name="keys" /></button>
    <${Theme} />
  </header>`;
}

function App() {
  const { path } = useRoute();
  const [dialog, setDialog] = useState(null);
  const close = useCallback(() => setDialog(null), []);
  useLayoutEffect(() => {
    const pressed = (event) => {
      if (event.key.toLowerCase() !== "k" || !(event.metaKey || event.ctrlKey) || event.altKey || event.shiftKey) return;
      event.preventDefault();
      setDialog("palette");
    };
    addEventListener("keydown", pressed);
    return () => removeEventListener("keydown", pressed);
  }, []);
  useKeys("Everywhere", [
    { keys: ["g e"], what: "episodes", run: () => navigate("/") },
    { keys: ["g j"], what: "jobs", run: () => navigate("/jobs") },
    { keys: ["g t"], what: "traces", run: () => navigate("/traces") },
    { keys: ["g s"], what: "search", run: () => navigate("/search") },
    { keys: ["g ,"], what: "setup", run: () => navigate("/setup") },
    { keys: ["y"], what: "copy the link to this view", run: () => void copy(location.href, "Link copied") },
    { keys: ["m"], what: "light, dark, as the system", run: () => setTheme(nextTheme(theme())) },
    { keys: ["?"], what: "this help", run: () => setDialog("help") },
    { keys: ["ctrl K", "⌘ K"], what: "go to a page or a trace id", run: () => false },
  ]);
  return html`<a class="skip" href="#main">Skip to the page</a>
    <${Header} path=${path} openPalette=${() => setDialog("palette")} openHelp=${() => setDialog("help")} />
    <main id="main" tabindex="-1"><${Safe} path=${path}><${Page} path=${path} /><//></main>
    ${dialog && html`<${Asked} key=${dialog} name=${dialog} close=${close} />`}
    <${Toasts} />`;
}

render(html`<${App} />`, document.getElementById("app"));
