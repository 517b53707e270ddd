/**
 * Writes fixtures/student_seed0.json: the SHA-256 of the reference script's student of seed 0, its parameters' bytes
 * one after the other, for each mode of the teacher. Run it at a commit whose bits are right:
 * `node test/parity/make_student.mjs` after `npm run build`.
 */
import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";
import { distill, manualSeed, StudentNet, synthetic, TeacherNet } from "../../dist/index.js";

const hashes = {};
for (const teacherMode of ["train", "eval"]) {
  manualSeed(0);
  const teacher = new TeacherNet().freeze();
  const student = new StudentNet();
  await distill({ teacher, student, data: synthetic(), teacherMode, shuffle: false });
  const hash = createHash("sha256");
  for (const { data } of Object.values(student.stateDict())) hash.update(data);
  hashes[teacherMode] = hash.digest("hex");
}
writeFileSync(new URL("fixtures/student_seed0.json", import.meta.url), `${JSON.stringify(hashes, null, 2)}\n`);
