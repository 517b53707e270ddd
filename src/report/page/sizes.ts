import { type Content, h } from "../../page/dom.js";
import { showBytes, showCount } from "../../show.js";
import type { SizeMetrics } from "../report_data.js";
import { compared, short } from "../text.js";
import { figure } from "./figure.js";
import { table } from "./table.js";

interface Measure {
  name: string;
  of: (size: SizeMetrics) => number | undefined;
  format: (x: number) => string;
  /** The words for a student whose figure is better. */
  more: keyof typeof WORDS;
}

const MEASURES: readonly Measure[] = [
  { name: "parameters", of: ({ parameters }) => parameters, format: showCount, more: "smaller" },
  { name: "file", of: ({ bytes }) => bytes, format: showBytes, more: "smaller" },
  { name: "time for one sample", of: ({ latencyMs }) => latencyMs, format: (ms) => `${short(ms)} ms`, more: "faster" },
  {
    name: "samples a second",
    of: ({ throughput }) => throughput,
    format: (n) => showCount(Math.round(n)),
    more: "faster",
  },
];

const WORDS = {
  smaller: ["\u00d7 smaller", "\u00d7 larger", "as large"],
  faster: ["\u00d7 faster", "\u00d7 slower", "as fast"],
} as const;

/** What the student weighs and how fast it is, against the teacher. */
export function sizesFigure(student: SizeMetrics, teacher: SizeMetrics): HTMLElement {
  const rows = MEASURES.flatMap(({ name, of, format, more }): Content[][] => {
    const [own, large] = [of(student), of(teacher)];
    if (own === undefined || large === undefined) return [];
    const isRate = name === "samples a second";
    const gain = isRate ? own / large : large / own;
    return [
      [
        name,
        measured(large, Math.max(own, large), "--teacher", format),
        measured(own, Math.max(own, large), "--student", format),
        verdict(gain, more),
      ],
    ];
  });
  return figure({
    title: "Size and speed",
    description:
      "The file is that of the weights as .safetensors. One sample is the median of up to 200 passes, on the machine that made this report.",
    content: [
      table({
        caption: "Size and speed of the student against the teacher",
        columns: ["", "teacher", "student", "the student is"],
        rows,
        className: "sizes",
      }),
    ],
    className: "wide",
  });
}

function verdict(gain: number, more: Measure["more"]): string {
  return compared(gain, WORDS[more]);
}

function measured(value: number, most: number, colour: string, format: (x: number) => string): HTMLElement {
  const bar = h("span", {
    class: "inline-bar",
    "--share": `${(100 * value) / most}%`,
    "--colour": `var(${colour})`,
    "aria-hidden": "true",
  });
  return h("span", { class: "with-bar" }, bar, h("span", {}, format(value)));
}
