import { show } from "../../checks.js";
import { SAFE, saveAgain, TRUSTED } from "../bad_checkpoint.js";
import { globalNamed, orderOf, reduce } from "./globals.js";
import { MAX_PICKLE_BYTES, PickleMachine, type PickleSource, tooLong } from "./machine.js";
import { opcodeName } from "./opcodes.js";
import { isKind, type Value } from "./values.js";

const [PROTO, STOP, NEWOBJ] = [0x80, 0x2e, 0x81];
/** A text as pickled by Python 2. */
const SHORT_BINSTRING = 0x55;

type Step = (machine: PickleMachine) => void;

/** Every instruction that is supported: those that PyTorch writes with its protocol 2. They only move data. */
const STEPS: ReadonlyMap<number, Step> = new Map<number, Step>([
  [0x28, (m) => m.mark()],
  [0x29, (m) => m.push({ kind: "tuple", items: [] })],
  // Of a tuple that contains itself, which is then fetched from the memo.
  [0x30, (m) => void m.pop()],
  [0x31, (m) => void m.popMark()],
  [0x47, (m) => m.push(m.take(8).readDoubleBE())],
  [0x4a, (m) => m.push(m.long(4))],
  [0x4b, (m) => m.push(m.uint(1))],
  [0x4d, (m) => m.push(m.uint(2))],
  [0x4e, (m) => m.push(null)],
  [0x51, (m) => m.push(m.persistent(m.pop()))],
  [0x52, reduceTop],
  [0x58, (m) => m.push(m.text(m.uint(4)))],
  [0x5d, (m) => m.push({ kind: "list", items: [] })],
  [0x61, (m) => m.append([m.pop()])],
  [0x62, build],
  [0x63, (m) => m.push(globalNamed(`${m.line()}.${m.line()}`, m))],
  [0x65, (m) => m.append(m.popMark())],
  [0x68, (m) => m.recall(m.uint(1))],
  [0x6a, (m) => m.recall(m.uint(4))],
  [0x71, (m) => m.remember(m.uint(1))],
  [0x72, (m) => m.remember(m.uint(4))],
  [0x73, setItem],
  [0x74, (m) => m.push({ kind: "tuple", items: m.popMark() })],
  [0x75, (m) => m.setItems(m.popMark())],
  [0x7d, (m) => m.push({ kind: "dict", ordered: false, entries: [] })],
  [NEWOBJ, newObject],
  [0x85, (m) => pushTuple(m, 1)],
  [0x86, (m) => pushTuple(m, 2)],
  [0x87, (m) => pushTuple(m, 3)],
  [0x88, (m) => m.push(true)],
  [0x89, (m) => m.push(false)],
  [0x8a, (m) => m.push(m.long(m.uint(1)))],
  [0x8b, (m) => m.push(m.long(m.uint(4)))],
]);

/** Reads a pickle that fills the bytes, as {@link readPickleIn} does. */
export function readPickle(source: PickleSource): Value {
  const { length } = source.bytes;
  if (length > MAX_PICKLE_BYTES) throw tooLong(source, `${length} bytes, more than ${MAX_PICKLE_BYTES}`);
  const machine = new PickleMachine(source);
  const { value, end } = run(machine, source);
  if (end !== length) throw machine.fail("something follows the end of the pickle");
  return value;
}

/**
 * Reads a pickle of PyTorch by an allow-list of instructions and names. Nothing in it is run: calls are only
 * recognised, and only those that rebuild tensors and numbers are accepted. Anything else is a `BAD_CHECKPOINT` with
 * the instruction and its position; with `leavesOut`, values of other classes are left out of the result. `end`: where
 * the pickle ends.
 */
export function readPickleIn(source: PickleSource): { value: Value; end: number } {
  return run(new PickleMachine(source), source);
}

function run(machine: PickleMachine, { file }: PickleSource): { value: Value; end: number } {
  if (machine.next() !== PROTO) throw machine.fail("a pickle begins with PROTO");
  const protocol = machine.uint(1);
  if (protocol !== 2) {
    throw machine.fail(
      `pickle protocol ${protocol}: only 2 is read, torch.save's default: ${saveAgain(file, TRUSTED)}`,
    );
  }
  for (let code = machine.next(); code !== STOP; code = machine.next()) {
    const step = STEPS.get(code);
    if (step === undefined) {
      if (code === SHORT_BINSTRING)
        throw machine.fail(`a text of Python 2, which is not read: ${saveAgain(file, SAFE)}`);
      throw notAllowed(machine, code);
    }
    step(machine);
  }
  return machine.stop();
}

function reduceTop(machine: PickleMachine): void {
  const args = machine.pop();
  machine.push(reduce(machine.pop(), args, machine));
}

function pushTuple(machine: PickleMachine, length: number): void {
  const items = Array.from({ length }, () => machine.pop()).reverse();
  machine.push({ kind: "tuple", items });
}

function setItem(machine: PickleMachine): void {
  const value = machine.pop();
  machine.setItems([machine.pop(), value]);
}

/** An instance of a class, which is always a foreign one. */
function newObject(machine: PickleMachine): void {
  const args = machine.pop();
  const made = machine.pop();
  if (!isKind(made, "foreign") || !isKind(args, "tuple")) throw notAllowed(machine, NEWOBJ);
  machine.push({ ...made });
}

/**
 * BUILD sets attributes. Those of a state_dict, `_metadata` (the versions of its modules) and what a program set, are
 * accepted and dropped. A NumPy type gets its byte order. A pickled network has `_parameters`.
 */
function build(machine: PickleMachine): void {
  const state = machine.pop();
  const made = machine.top();
  if (isKind(made, "foreign")) {
    if (isKind(state, "dict") && state.entries.some(([key]) => key === "_parameters")) made.isModule = true;
    return;
  }
  if (isKind(made, "dtype") && made.order === null) {
    // Without a byte order no number can be read: the type of a date, or one with several fields.
    made.order = orderOf(state) ?? machine.foreign(made.code, "the state of a NumPy type is none").name;
    return;
  }
  const isAttribute = ([key, value]: [Value, Value]) =>
    key === "_metadata" ? isKind(value, "dict") : typeof key === "string" && !key.startsWith("__");
  const isMetadata = isKind(state, "dict") && state.entries.every(isAttribute);
  if (!isMetadata || !machine.topDict().ordered) {
    throw machine.fail(`attributes other than a state_dict's ${show("_metadata")} are not allowed`);
  }
}

function notAllowed(machine: PickleMachine, code: number): Error {
  return machine.fail(`the instruction ${opcodeName(code)} is not allowed`);
}
