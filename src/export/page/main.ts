import { h } from "../../page/dom.js";
import { showBytes } from "../../show.js";
import type { Demo, DemoInput, OnSample, Run } from "../demo.js";
import { answerOf } from "./answers.js";
import { drawing } from "./drawing.js";
import { numbers, row } from "./fields.js";

/** The kinds of samples, each with what one fills in: to add one, write its function here. */
const INPUTS: {
  readonly [K in DemoInput["kind"]]: (input: Extract<DemoInput, { kind: K }>, on: OnSample) => HTMLElement[];
} = { image: drawing, table: row, values: numbers };

/** Fills the page; the module's own script calls it with its function. */
function start(run: Run): void {
  const demo = JSON.parse(document.getElementById("demo")?.textContent ?? "") as Demo;
  const answer = h("div", { class: "answer" });
  const said = h("p", { class: "said", role: "status" });
  const time = h("p", { class: "hint" });
  const onSample: OnSample = (sample) => {
    try {
      const before = performance.now();
      const result = run(sample);
      const milliseconds = performance.now() - before;
      const { shown, said: text } = answerOf(result, demo.names);
      said.className = "said";
      said.textContent = text;
      answer.replaceChildren(shown);
      time.textContent = `Computed here in ${Math.max(milliseconds, 0.1).toFixed(1)} ms. Nothing leaves this page.`;
    } catch (error) {
      said.className = "said problem";
      said.textContent = (error as Error).message;
      answer.replaceChildren();
      time.textContent = "";
    }
  };
  const make = INPUTS[demo.input.kind] as (input: DemoInput, on: OnSample) => HTMLElement[];
  document
    .getElementById("page")
    ?.append(
      h("header", {}, h("h1", {}, demo.title), h("p", {}, `A network of ${showBytes(demo.bytes)}, in this file.`)),
      h(
        "main",
        {},
        h("section", { "aria-label": "Sample" }, ...make(demo.input, onSample)),
        h("section", { "aria-label": "What the network says" }, said, answer, time),
      ),
    );
}

Object.assign(globalThis, { startDemo: start });
