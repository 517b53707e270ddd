import type { ErrorCode } from "../errors.js";
import type { Member, Outcome } from "./members.js";

/** What a process is told first. */
export interface Opening {
  /** The module that gives the problem, by its address, and what it is called with. */
  module: string;
  argument: unknown;
  /** What the problem must have, and does where the module gives the same one. */
  dataHash: string;
  validationHash: string;
  /** Files of the teacher's weights and answers; null where it is asked at each step. */
  teacherFile: string;
  answersFile: string | null;
  out: string;
  threads: number;
}

/** What a process is told. */
export type Order = { kind: "open"; opening: Opening } | { kind: "train"; member: Member } | { kind: "stop" };

/** What it says. */
export type Report =
  | { kind: "ready" }
  | { kind: "steps"; done: number }
  | { kind: "note"; text: string }
  | { kind: "outcome"; outcome: Outcome }
  | { kind: "failure"; code: ErrorCode; message: string };
