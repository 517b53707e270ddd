/**
 * P(|T| > t) for Student's t with a whole number of degrees of freedom, to about 1e-13 of itself: the regularised
 * incomplete beta function I_x(degrees / 2, 1/2) at x = degrees / (degrees + t²).
 */
export function twoSidedTail(t: number, degrees: number): number {
  const square = t * t;
  if (square === Infinity) return 0;
  const [x, y] = [degrees / (degrees + square), square / (degrees + square)];
  const [a, b] = [degrees / 2, 1 / 2];
  const scale = inverseBeta(degrees) * x ** a * y ** b;
  // The fraction converges fast on this side; the other is its complement.
  if (x < (a + 1) / (a + b + 2)) return (scale * betaFraction(a, b, x)) / a;
  return 1 - (scale * betaFraction(b, a, y)) / b;
}

/** The t with P(|T| > t) = tail, 0 < tail < 1, by bisection. */
export function twoSidedQuantile(tail: number, degrees: number): number {
  let high = 1;
  while (twoSidedTail(high, degrees) > tail) high *= 2;
  let low = 0;
  for (;;) {
    const middle = (low + high) / 2;
    if (middle <= low || middle >= high) return high;
    if (twoSidedTail(middle, degrees) > tail) low = middle;
    else high = middle;
  }
}

/** 1 / B(degrees / 2, 1/2), from B(1/2, 1/2) = pi and B(1, 1/2) = 2 on. */
function inverseBeta(degrees: number): number {
  let inverse = degrees % 2 === 1 ? 1 / Math.PI : 1 / 2;
  for (let a = degrees % 2 === 1 ? 1 / 2 : 1; a < degrees / 2; a++) inverse *= (a + 1 / 2) / a;
  return inverse;
}

const SMALLEST = 1e-300;

/** The continued fraction of the incomplete beta function by Lentz's method: Numerical Recipes, 3rd edition, 6.4. */
function betaFraction(a: number, b: number, x: number): number {
  const apart = (value: number) => (Math.abs(value) < SMALLEST ? SMALLEST : value);
  let c = 1;
  let d = 1 / apart(1 - ((a + b) * x) / (a + 1));
  let fraction = d;
  for (let m = 1; ; m++) {
    const even = (m * (b - m) * x) / ((a + 2 * m - 1) * (a + 2 * m));
    const odd = (-(a + m) * (a + b + m) * x) / ((a + 2 * m) * (a + 2 * m + 1));
    const before = fraction;
    for (const term of [even, odd]) {
      d = 1 / apart(1 + term * d);
      c = apart(1 + term / c);
      fraction *= d * c;
    }
    if (Math.abs(fraction - before) <= Number.EPSILON * Math.abs(fraction)) return fraction;
  }
}
