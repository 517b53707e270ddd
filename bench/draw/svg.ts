import { type EChartsCoreOption, init } from "echarts";

/** The colours of the charts; each has a counterpart for dark mode. */
export const COLOURS = {
  background: "#ffffff",
  text: "#1f2328",
  faint: "#d0d7de",
  blue: "#0969da",
  green: "#1a7f37",
  orange: "#bc4c00",
  purple: "#8250df",
} as const;

const DARK: Readonly<Record<keyof typeof COLOURS, string>> = {
  background: "#0d1117",
  text: "#e6edf3",
  faint: "#30363d",
  blue: "#58a6ff",
  green: "#3fb950",
  orange: "#f0883e",
  purple: "#bc8cff",
};

export const FONT = "system-ui, sans-serif";

/** The title and description of a chart, and its size. */
interface Chart {
  readonly title: string;
  readonly description: string;
  readonly width: number;
  readonly height: number;
}

/** The chart as SVG text, with its title and description, in colours that follow light and dark surroundings. */
export function renderSvg({ title, description, width, height }: Chart, option: EChartsCoreOption): string {
  const chart = init(null, null, { renderer: "svg", ssr: true, width, height });
  const textStyle = { fontFamily: FONT, color: COLOURS.text };
  chart.setOption({ animation: false, backgroundColor: COLOURS.background, textStyle, ...option });
  const svg = chart.renderToSVGString({ useViewBox: true });
  chart.dispose();
  const about = `<title id="title">${escaped(title)}</title><desc id="desc">${escaped(description)}</desc>`;
  return svg.replace(/^<svg ([^>]*)>/, `<svg role="img" aria-labelledby="title desc" $1>${about}${darkStyle()}`);
}

/** A rule for every colour: a style sheet goes before the attributes that the chart has. */
function darkStyle(): string {
  const rules = Object.entries(COLOURS).flatMap(([name, colour]) =>
    ["fill", "stroke"].map((property) => {
      const dark = DARK[name as keyof typeof COLOURS];
      return `[${property}="${colour}"]{${property}:${dark}}`;
    }),
  );
  return `<style>@media (prefers-color-scheme:dark){${rules.join("")}}</style>`;
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

/** An axis with its name along it. */
export function axis(name: string, more: object = {}): object {
  return {
    name,
    nameLocation: "middle",
    nameGap: 34,
    nameTextStyle: { color: COLOURS.text, fontSize: 13 },
    axisLabel: { color: COLOURS.text },
    axisLine: { show: true, lineStyle: { color: COLOURS.text } },
    axisTick: { show: true, lineStyle: { color: COLOURS.text } },
    splitLine: { lineStyle: { color: COLOURS.faint } },
    minorSplitLine: { show: false },
    ...more,
  };
}
