import { holm, type PairedDifference, pairedDifference, type SampleStats, sampleStats } from "./statistics.js";

/** By how much the chosen point of a sweep leads another one, over the seeds. */
export interface Lead extends PairedDifference {
  /** Holm's correction (1979) of the p value, for as many comparisons as there are other points. */
  correctedPValue: number;
  /** Whether the corrected p value is below 1 - confidence. The interval is that of the one difference. */
  significant: boolean;
}

/** What several seeds say of a sweep's point: its figure on the validation set, in the best epochs. */
export interface PointSpread {
  figure: SampleStats;
  /** By seed: the best weights. */
  files: string[];
  /** What the chosen point's figure has more, with the same seeds; null for that point. */
  lead: Lead | null;
}

/** The spread of each point, by its values over the seeds; `chosen` is the number of the best one. */
export function spreadOfPoints(
  points: readonly { values: readonly number[]; files: string[] }[],
  chosen: number,
): PointSpread[] {
  const { values: best } = points[chosen];
  const differences = points.map(({ values }) => pairedDifference(best, values));
  const others = differences.filter((_, i) => i !== chosen);
  const corrected = holm(others.map(({ pValue }) => pValue));
  const leads = others.map((difference, i): Lead => {
    const correctedPValue = corrected[i];
    return { ...difference, correctedPValue, significant: correctedPValue < 1 - difference.confidence };
  });
  return points.map(({ values, files }, i) => {
    const lead = i === chosen ? null : leads[i < chosen ? i : i - 1];
    return { figure: sampleStats(values), files, lead };
  });
}
