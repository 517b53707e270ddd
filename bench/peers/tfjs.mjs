// The benchmark's steps in TensorFlow.js, as a process that replies to lines of JSON like pytorch.py:
// `node tfjs.mjs PACKAGE`. Modes eval and cached, from the library's weights and data; Adam in place of AdamW, and no
// clipping: it has neither.
import { createRequire } from "node:module";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { Generator, StudentNet, synthetic, TeacherNet, withGenerator } from "distillery";

const [name = "@tensorflow/tfjs"] = process.argv.slice(2);
const tf = createRequire(join(process.cwd(), "package.json"))(name);
const [ROWS, TEMPERATURE, ALPHA, EPS] = [64, 3.5, 0.6, 1e-5];
const sessions = new Map();

/** Makes the step of a mode; it gives the loss. */
function open(mode) {
  const [teacher, student, data] = withGenerator(new Generator(0), () => [
    new TeacherNet(),
    new StudentNet(),
    synthetic(),
  ]);
  const [ofTeacher, ofStudent] = [tensors(teacher), tensors(student)];
  const variables = Object.fromEntries(Object.entries(ofStudent).map(([key, x]) => [key, tf.variable(x)]));
  const x = tf.tensor2d(data.inputs.data, [data.length, data.features]);
  const oneHot = tf.oneHot(tf.tensor1d(Int32Array.from(data.labels.data), "int32"), data.classes).toFloat();
  const known = mode === "cached" ? tf.tidy(() => teacherLogits(ofTeacher, x)) : null;
  const optimizer = tf.train.adam(3e-5);
  let at = 0;
  return async () => {
    const rows = (tensor) => tensor.slice([at, 0], [ROWS, tensor.shape[1]]);
    const loss = tf.tidy(() => {
      const inputs = rows(x);
      const soft = known === null ? teacherLogits(ofTeacher, inputs) : rows(known);
      return optimizer.minimize(() => kdLoss(studentLogits(variables, inputs), soft, rows(oneHot)), true);
    });
    at = (at + ROWS) % data.length;
    const [value] = await loss.data();
    loss.dispose();
    return value;
  };
}

/** A network's weights and running statistics as tensors. */
function tensors(network) {
  const state = Object.entries(network.stateDict()).filter(([, { dtype }]) => dtype === "float32");
  return Object.fromEntries(state.map(([key, { data, shape }]) => [key, tf.tensor(Float32Array.from(data), shape)]));
}

function linear(weights, layer, x) {
  return tf.matMul(x, weights[`${layer}.weight`], false, true).add(weights[`${layer}.bias`]);
}

function teacherLogits(weights, x) {
  const hidden = [1, 2, 3].reduce((value, i) => {
    const [mean, variance] = [weights[`bn${i}.running_mean`], weights[`bn${i}.running_var`]];
    const y = linear(weights, `fc${i}`, value);
    return tf.batchNorm(y, mean, variance, weights[`bn${i}.bias`], weights[`bn${i}.weight`], EPS).relu();
  }, x);
  return linear(weights, "fc4", hidden);
}

function studentLogits(weights, x) {
  return linear(weights, "fc3", linear(weights, "fc2", linear(weights, "fc1", x).relu()).relu());
}

function kdLoss(student, teacher, oneHot) {
  const [logP, logQ] = [teacher, student].map((logits) => tf.logSoftmax(logits.div(TEMPERATURE)));
  const soft = logP
    .exp()
    .mul(logP.sub(logQ))
    .sum()
    .mul(TEMPERATURE ** 2 / ROWS);
  const hard = tf
    .logSoftmax(student)
    .mul(oneHot)
    .sum()
    .mul(-1 / ROWS);
  return soft.mul(ALPHA).add(hard.mul(1 - ALPHA));
}

async function replyTo(request) {
  if (request.threads !== undefined) {
    await tf.ready();
    return { versions: { [name]: `${tf.version.tfjs}, ${tf.getBackend()}` } };
  }
  if (request.open !== undefined) {
    const step = open(request.open);
    sessions.set(request.open, step);
    return { losses: [await step()] };
  }
  const step = sessions.get(request.run);
  const begun = performance.now();
  for (let i = 0; i < request.steps; i++) await step();
  return { seconds: (performance.now() - begun) / 1000 };
}

for await (const line of createInterface({ input: process.stdin })) {
  const reply = await replyTo(JSON.parse(line)).catch((error) => ({ error: error.message }));
  console.log(JSON.stringify(reply));
}
