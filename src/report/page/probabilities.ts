import { h } from "../../page/dom.js";
import { showPercent } from "../../show.js";
import { softmax } from "../../tasks/softmax.js";

interface ProbabilityBars {
  names: readonly string[];
  /** The true class. */
  label: number;
  /** The class that the student takes it for. */
  predicted: number;
  /** Logits. */
  student: readonly number[];
  teacher?: readonly number[] | undefined;
}

const MAX_CLASSES = 6;

/** A row with a bar for each network. */
interface Row {
  element: HTMLElement;
  set(shares: { teacher?: number | undefined; student: number }): void;
}

/**
 * What the networks believe: bars of the classes that matter, in the teacher's order, and the sum of the others. The
 * places stay when the temperature changes, so that only the bars move.
 */
export function probabilityBars({ names, label, predicted, student, teacher }: ProbabilityBars): {
  element: HTMLElement;
  update(temperature: number): void;
} {
  const ranking = teacher ?? student;
  const order = Array.from(student.keys()).sort((a, b) => ranking[b] - ranking[a]);
  // One class alone is shown as itself, not as "1 others".
  const most = student.length === MAX_CLASSES + 1 ? student.length : MAX_CLASSES;
  const chosen = new Set([...new Set([label, predicted, ...order])].slice(0, most));
  const shown = order.filter((i) => chosen.has(i));
  const others = order.filter((i) => !chosen.has(i));
  const rows = shown.map((i) => beliefRow(names[i] ?? String(i), teacher !== undefined, i === label));
  const rest = others.length === 0 ? null : beliefRow(`${others.length} others`, teacher !== undefined, false);
  const sum = (shares: readonly number[]) => others.reduce((total, i) => total + shares[i], 0);
  return {
    element: h("ul", { class: "beliefs" }, ...rows.map(({ element }) => element), rest?.element),
    update(temperature) {
      const [own, soft] = [softmax(student, temperature), teacher && softmax(teacher, temperature)];
      for (const [k, i] of shown.entries()) rows[k]?.set({ teacher: soft?.[i], student: own[i] });
      rest?.set({ teacher: soft && sum(soft), student: sum(own) });
    },
  };
}

function beliefRow(name: string, withTeacher: boolean, isTrue: boolean): Row {
  const bar = (who: string) => {
    const fill = h("span", { class: "fill", "aria-hidden": "true" });
    const value = h("span", { class: "value" });
    return {
      element: h("span", { class: `belief ${who}` }, h("span", { class: "unseen" }, `${who}: `), fill, value),
      fill,
      value,
    };
  };
  const [teacher, student] = [withTeacher ? bar("teacher") : null, bar("student")];
  const label = h(
    "span",
    { class: "name", title: name },
    name,
    isTrue && h("span", { class: "unseen" }, " (true class)"),
  );
  const set = (part: ReturnType<typeof bar>, share: number) => {
    part.fill.style.setProperty("--share", String(share));
    part.value.textContent = showPercent(share, share < 0.1 ? 1 : 0);
  };
  return {
    element: h(
      "li",
      { class: isTrue ? "is-true" : "" },
      label,
      h("span", { class: "bars" }, teacher?.element, student.element),
    ),
    set(shares) {
      if (teacher !== null && shares.teacher !== undefined) set(teacher, shares.teacher);
      set(student, shares.student);
    },
  };
}
