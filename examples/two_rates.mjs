/** An optimizer for `--optimizer ./two_rates.mjs`: the first layer's weight and bias learn at a tenth of the rate. */
import { SGD } from "distillery";

export default function twoRates({ params, lr, weightDecay, momentum = 0.9 }) {
  const [weight, bias, ...others] = params;
  const groups = [{ params: [weight, bias], lr: lr / 10 }, { params: others }];
  return new SGD(groups, { lr, weightDecay, momentum });
}
