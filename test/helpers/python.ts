import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { python } from "./needs.js";

/** Runs program after program, since PyTorch takes seconds to load. Ends when its input ends. */
const SERVER = `
import contextlib, io, json, sys, traceback
for line in sys.stdin:
    code, *arguments = json.loads(line)
    sys.argv = ["-c", *arguments]
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed):
            exec(code, {"__name__": "__main__"})
        answer = {"printed": printed.getvalue()}
    except BaseException:
        answer = {"error": traceback.format_exc()}
    print(json.dumps(answer), flush=True)
`;

let server: { readonly child: ChildProcess; readonly answers: AsyncIterator<string> } | null = null;

/**
 * What a program prints, as JSON, in the Python with PyTorch. A warning is an error. The programs of a worker share a
 * process, but no variables.
 */
export async function runPython(code: string, ...args: string[]): Promise<unknown> {
  server ??= start();
  server.child.stdin?.write(`${JSON.stringify([code, ...args])}\n`);
  const { value, done } = await server.answers.next();
  if (done === true) throw new Error("Python ended");
  const { printed, error } = JSON.parse(value) as { printed?: string; error?: string };
  if (printed === undefined) throw new Error(error);
  return JSON.parse(printed);
}

function start(): NonNullable<typeof server> {
  const child = spawn(python, ["-W", "error", "-c", SERVER], { stdio: ["pipe", "pipe", "inherit"] });
  return { child, answers: createInterface({ input: child.stdout })[Symbol.asyncIterator]() };
}
