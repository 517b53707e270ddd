/**
 * Finds what `JSON.parse` accepts silently: a key that is repeated in an object, and deep nesting. Returns the issue's
 * text, or null. Text that is not JSON is left to `JSON.parse`.
 */
export function jsonProblem(json: string, maxDepth: number): string | null {
  const open: (Set<string> | null)[] = [];
  const token = /["{}[\]]/g;
  for (let match = token.exec(json); match !== null; match = token.exec(json)) {
    const [text] = match;
    if (text === "}" || text === "]") open.pop();
    else if (text === "{" || text === "[") open.push(text === "{" ? new Set() : null);
    else {
      token.lastIndex = stringEnd(json, match.index);
      const string = json.slice(match.index, token.lastIndex);
      if (isKey(json, token.lastIndex) && !addKey(open.at(-1), string)) {
        return `the key ${string.slice(0, 80)} is repeated`;
      }
    }
    if (open.length > maxDepth) return `nested deeper than ${maxDepth}`;
  }
  return null;
}

/** The position after the string that begins at a quote; the end of the text if the string has none. */
function stringEnd(json: string, start: number): number {
  let at = start + 1;
  while (at < json.length && json[at] !== '"') at += json[at] === "\\" ? 2 : 1;
  return at + 1;
}

function isKey(json: string, end: number): boolean {
  let at = end;
  while (" \n\r\t".includes(json.charAt(at)) && at < json.length) at++;
  return json.charAt(at) === ":";
}

/** Whether the key, with its escapes resolved, is new. */
function addKey(keys: Set<string> | null | undefined, text: string): boolean {
  if (!keys) return true;
  const key = withoutEscapes(text);
  if (keys.has(key)) return false;
  keys.add(key);
  return true;
}

function withoutEscapes(text: string): string {
  if (!text.includes("\\")) return text.slice(1, -1);
  try {
    return JSON.parse(text) as string;
  } catch {
    return text;
  }
}
