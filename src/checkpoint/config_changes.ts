/** What determines a run's numbers, as `config.json` keeps it: equal for two runs that end with the same bits. */
export type RunConfig = Readonly<Record<string, unknown>>;

/**
 * Paths may change: the hashes beside them say whether the content is the same. Evaluations on the test set change no
 * number.
 */
const NOT_COMPARED: readonly string[] = ["userOptions", "extended", "testEvaluations"];
/** What a hash belongs to, in words. */
const HASHED: Readonly<Record<string, string>> = {
  dataHash: "the training data have changed",
  validationHash: "the validation data have changed",
  testHash: "the test data have changed",
  teacherHash: "the teacher's file (its weights or logits) has changed",
  teacherEncodingHash: "how the teacher reads texts (its tokenizer, or the ids that a text has at most) has changed",
  modelHash: "the network's initial weights have changed",
  randomHash: "the state of the random numbers has changed",
  scheduleHash: "the learning rates of the schedule have changed",
};

const NONE: ReadonlySet<string> = new Set();

/** How two configurations differ, in words, apart from what is `free` to change. */
export function changesOf(before: RunConfig, now: RunConfig, free = NONE): string[] {
  const names = differing(before, now).filter((name) => !free.has(name));
  // The options that the user wrote, if they explain the hashes: more epochs alone explain only another schedule. A
  // command's own `chunk` follows from `stream`.
  const said = names.filter((name) => !name.endsWith("Hash") && !(name === "chunk" && names.includes("stream")));
  const isExplained = said.some((name) => name !== "epochs");
  const hashes = names.filter((name) => name.endsWith("Hash") && (said.length === 0 || name !== "scheduleHash"));
  return [...(isExplained ? [] : hashes), ...said].flatMap((name) => changeOf(name, before[name], now[name]));
}

/** What may differ when a run is resumed. */
export interface Freedom {
  readonly free?: ReadonlySet<string>;
  /** Whether there may be more epochs; default true. */
  readonly longer?: boolean;
}

/** Why a run can't be resumed with another configuration, in words. */
export function obstaclesOf(before: RunConfig, now: RunConfig, { free = NONE, longer = true }: Freedom = {}): string[] {
  const isLonger = longer && isMore(before, now);
  const others = isLonger ? changesOf(before, now, new Set([...free, "epochs", "scheduleHash"])) : [];
  return others.length > 0 ? others : changesOf(before, now, free);
}

/** Whether a run can be resumed with another configuration. */
export function canGoOn(before: RunConfig, now: RunConfig, { free = NONE, longer = true }: Freedom = {}): boolean {
  const isLonger = longer && isMore(before, now);
  return differing(before, now).every((name) => free.has(name) || (name === "epochs" && isLonger));
}

function isMore({ epochs: from }: RunConfig, { epochs: to }: RunConfig): boolean {
  return typeof from === "number" && typeof to === "number" && to > from;
}

function differing(before: RunConfig, now: RunConfig): string[] {
  const names = new Set([...Object.keys(before), ...Object.keys(now)]);
  return [...names].filter(
    (name) => !NOT_COMPARED.includes(name) && JSON.stringify(before[name]) !== JSON.stringify(now[name]),
  );
}

function changeOf(name: string, before: unknown, now: unknown): string[] {
  if (name === "chunk") return [`the training data were ${heldAs(before)}, are ${heldAs(now)} (stream, --stream)`];
  if (name === "modules") return modulesChanged(hashesOf(before), hashesOf(now));
  if (!name.endsWith("Hash")) return [`${name} was ${shown(before)}, is ${shown(now)}`];
  const ofLoss = /^loss\.(.*)Hash$/.exec(name)?.[1];
  return [ofLoss === undefined ? (HASHED[name] ?? `${name} has changed`) : `the loss's ${ofLoss} begins otherwise`];
}

function shown(value: unknown): string {
  return value === undefined ? "not set" : JSON.stringify(value);
}

/** Streamed data come in the order of their chunks. */
function heldAs(chunk: unknown): string {
  return chunk === undefined ? "in memory" : `streamed by ${chunk} samples`;
}

/** `modules`: the hash of each module by its path. */
function modulesChanged(before: RunConfig, now: RunConfig): string[] {
  return differing(before, now).map((path) => {
    if (before[path] === undefined) return `${path} was not used`;
    return `${path} ${now[path] === undefined ? "is no longer used" : "has changed"}`;
  });
}

function hashesOf(modules: unknown): RunConfig {
  return typeof modules === "object" && modules !== null ? (modules as RunConfig) : {};
}
