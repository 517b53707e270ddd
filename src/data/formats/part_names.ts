const WORDS: Readonly<Record<string, "train" | "validation" | "test">> = {
  ...{ train: "train", training: "train" },
  ...{ val: "validation", valid: "validation", validation: "validation" },
  ...{ test: "test", testing: "test" },
};

/** The part of a data set that a folder or file of this name holds, as people write it: `train`, `Training`, `train_set`. */
export function partOf(name: string): "train" | "validation" | "test" | null {
  const word = name.toLowerCase().replace(/[-_ ]?set$/, "");
  return Object.hasOwn(WORDS, word) ? WORDS[word] : null;
}

/** What the validation part is called beside a training part. */
export const VALIDATION_WORDS = Object.keys(WORDS).filter((word) => WORDS[word] === "validation");
