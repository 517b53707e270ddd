import { h } from "../../page/dom.js";
import { masthead } from "../../report/page/hero.js";
import { section } from "../../report/page/sections.js";
import type { Changes } from "../watched_run.js";
import { Curves } from "./curves.js";
import { RunTable } from "./run_table.js";
import { Runs } from "./runs.js";

/** Draws the page that follows runs, from the server's events. */
export function showRuns(): void {
  const runs = new Runs();
  const summary = h("p", { class: "detail", role: "status" });
  const curves = new Curves();
  const table = new RunTable((path, isShown) => {
    runs.choose(path, isShown);
    draw();
  });
  document.body.append(
    h(
      "main",
      { class: "watch" },
      h("header", {}, masthead(), h("h1", {}, "Runs"), summary),
      section("All of them", table.element),
      section("Their curves", curves.element),
    ),
  );

  let isConnected = false;

  function draw(): void {
    const shown = runs.shown();
    table.update(runs.ordered(), shown);
    curves.update(shown);
    summary.textContent = isConnected
      ? runs.summary()
      : "No connection: what is shown is how it was. It goes on once distillery watch runs again.";
  }

  /** A report's link to one of its runs shows that alone. */
  function followAddress(): void {
    const path = decoded(location.hash.slice(1));
    if (path === "") return;
    runs.showOnly(path);
    draw();
  }

  const events = new EventSource("/events");
  events.addEventListener("open", () => {
    isConnected = true;
  });
  events.addEventListener("error", () => {
    isConnected = false;
    draw();
  });
  events.addEventListener("all", ({ data }) => {
    runs.replace(JSON.parse(data) as Changes);
    draw();
  });
  events.addEventListener("changes", ({ data }) => {
    runs.apply(JSON.parse(data) as Changes);
    draw();
  });
  addEventListener("hashchange", followAddress);
  followAddress();
  draw();
}

/** Nothing, of what is no address. */
function decoded(text: string): string {
  try {
    return decodeURI(text);
  } catch {
    return "";
  }
}
