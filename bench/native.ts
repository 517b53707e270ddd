type Binding = typeof import("../index.js");

/** The binding itself, to time a kernel without the tensor around it: the one that the installed library uses. */
export const native: Binding = await import(new URL("../index.js", import.meta.resolve("distillery")).href);
