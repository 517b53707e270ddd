/**
 * P(|T| > t) for Student's t, to about 1e-13 of itself: the regularised incomplete beta function I_x(degrees / 2, 1/2)
 * at x = degrees / (degrees + t²). Degrees of freedom above 0, whole or not. `2 * scipy.stats.t.sf(t, degrees)`.
 */
export function twoSidedPValue(t: number, degrees: number): number {
  const square = t * t;
  if (square === Infinity) return 0;
  const [x, y] = [degrees / (degrees + square), square / (degrees + square)];
  const [a, b] = [degrees / 2, 1 / 2];
  const scale = inverseBeta(degrees) * x ** a * y ** b;
  // The fraction converges fast on this side; the other is its complement.
  if (x < (a + 1) / (a + b + 2)) return (scale * betaFraction(a, b, x)) / a;
  return 1 - (scale * betaFraction(b, a, y)) / b;
}

/** The t with P(|T| > t) = tail, 0 < tail < 1, by bisection. `scipy.stats.t.isf(tail / 2, degrees)`. */
export function criticalValue(tail: number, degrees: number): number {
  let high = 1;
  while (twoSidedPValue(high, degrees) > tail) high *= 2;
  let low = 0;
  for (;;) {
    const middle = (low + high) / 2;
    if (middle <= low || middle >= high) return high;
    if (twoSidedPValue(middle, degrees) > tail) low = middle;
    else high = middle;
  }
}

/** Above this the series holds to the last digit. */
const LARGE = 40;
/** Of Gamma(a + 1/2) / (Gamma(a) sqrt(a)) by powers of 1 / a: Tricomi and Erdelyi, 1951. */
const SERIES = [1, -1 / 8, 1 / 128, 5 / 1024, -21 / 32768, -399 / 262144, 869 / 4194304, 39325 / 33554432];

/**
 * 1 / B(degrees / 2, 1/2): by the series for large degrees, from there down by B(a + 1, 1/2) = B(a, 1/2) a / (a + 1/2).
 */
function inverseBeta(degrees: number): number {
  let a = degrees / 2;
  let factor = 1;
  for (; a < LARGE; a++) factor *= a / (a + 1 / 2);
  const series = SERIES.reduceRight((sum, coefficient) => sum / a + coefficient, 0);
  return factor * series * Math.sqrt(a / Math.PI);
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
    // Of NaN too.
    if (!(Math.abs(fraction - before) > Number.EPSILON * Math.abs(fraction))) return fraction;
  }
}
