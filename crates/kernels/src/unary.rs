//! The table of functions of one element: name, value, slope. A row is all that a new one needs.

use crate::elementary::{exp, ln, ln_1p, normal_cdf, normal_density, sigmoid, tanh};
use crate::elementwise_loops::{map, zip3};
use crate::error::{Result, expect_shape};
use crate::parallel;

/// Elements of a task, at least: most cost an exponential.
const GRAIN: usize = parallel::GRAIN / 4;

/// Numbers that some functions take: the bounds of `clamp`, the exponent of `pow`, the sharpness of `softplus`.
pub type Parameters = [f32; 2];

/// A closure of the table with its types.
fn value<F: Fn(f32, Parameters) -> f32>(f: F) -> F {
    f
}

/// The slope from the input x, the output y, and the parameters.
fn slope<F: Fn(f32, f32, Parameters) -> f32>(f: F) -> F {
    f
}

macro_rules! unary_table {
    ($($variant:ident $name:literal $value:expr, $slope:expr;)*) => {
        /// A function of one element.
        #[derive(Clone, Copy, Debug, PartialEq)]
        #[allow(missing_docs, reason = "each is named after PyTorch's function")]
        pub enum Unary { $($variant),* }

        impl Unary {
            /// Every function with its name, in a fixed order.
            pub const ALL: &[(&str, Unary)] = &[$(($name, Unary::$variant)),*];

            /// out = f(x).
            pub fn forward(self, x: &[f32], p: Parameters, out: &mut [f32]) -> Result<()> {
                match self {
                    $(Unary::$variant => {
                        expect_shape($name, "out", &[out.len()], &[x.len()])?;
                        let f = value($value);
                        parallel::for_each(out, GRAIN, |first, part| map(&x[first..], part, &|x| f(x, p)));
                    })*
                }
                Ok(())
            }

            /// grad_x = grad * f'(x), from the input x and the output y; 0 for any gradient where f is flat.
            pub fn backward(self, grad: &[f32], x: &[f32], y: &[f32], p: Parameters, grad_x: &mut [f32]) -> Result<()> {
                match self {
                    $(Unary::$variant => {
                        expect_shape($name, "x", &[x.len()], &[grad.len()])?;
                        expect_shape($name, "y", &[y.len()], &[grad.len()])?;
                        expect_shape($name, "grad_x", &[grad_x.len()], &[grad.len()])?;
                        let f = slope($slope);
                        let is_flat_at_0 = Unary::$variant.is_flat_at_slope_0();
                        parallel::for_each(grad_x, GRAIN, |first, part| {
                            zip3(&grad[first..], &x[first..], &y[first..], part, &|grad, x, y| {
                                let slope = f(x, y, p);
                                if is_flat_at_0 && slope == 0.0 { 0.0 } else { grad * slope }
                            });
                        });
                    })*
                }
                Ok(())
            }
        }
    };
}

unary_table! {
    Neg "neg" |x, _| -x, |_, _, _| -1.0;
    Abs "abs" |x, _| x.abs(), |x, _, _| sign(x);
    Exp "exp" |x, _| exp(x), |_, y, _| y;
    Log "log" |x, _| ln(x), |x, _, _| 1.0 / x;
    Log1p "log1p" |x, _| ln_1p(x), |x, _, _| 1.0 / (1.0 + x);
    Sqrt "sqrt" |x, _| x.sqrt(), |_, y, _| 0.5 / y;
    // The square root in std and norm: where it is 0, PyTorch takes 0 for its slope.
    Root "root" |x, _| x.sqrt(), |_, y, _| if y == 0.0 { 0.0 } else { 0.5 / y };
    Rsqrt "rsqrt" |x, _| 1.0 / x.sqrt(), |_, y, _| -0.5 * (y * y * y);
    Tanh "tanh" |x, _| tanh(x), |_, y, _| 1.0 - y * y;
    Sigmoid "sigmoid" |x, _| sigmoid(x), |_, y, _| y * (1.0 - y);
    LogSigmoid "logSigmoid" |x, _| x.min(0.0) - ln_1p(exp(-x.abs())), |x, _, _| sigmoid(-x);
    Softplus "softplus"
        |x, [_, beta]| x.max(0.0) + ln_1p(exp(-(beta * x).abs())) / beta,
        |x, _, [_, beta]| sigmoid(beta * x);
    Silu "silu" |x, _| x * sigmoid(x), |x, _, _| { let s = sigmoid(x); s * (1.0 + x * (1.0 - s)) };
    Hardswish "hardswish"
        |x, _| x * (x + 3.0).clamp(0.0, 6.0) / 6.0,
        |x, _, _| if x <= -3.0 { 0.0 } else if x < 3.0 { x / 3.0 + 0.5 } else { 1.0 };
    LeakyRelu "leakyRelu"
        |x, [below, _]| if x > 0.0 { x } else { x * below },
        |x, _, [below, _]| if x > 0.0 { 1.0 } else { below };
    Gelu "gelu" |x, _| x * normal_cdf(x), |x, _, _| normal_cdf(x) + x * normal_density(x);
    GeluTanh "geluTanh"
        |x, _| 0.5 * x * (1.0 + tanh(gelu_inner(x))),
        |x, _, _| {
            let t = tanh(gelu_inner(x));
            0.5 * (1.0 + t) + 0.5 * x * (1.0 - t * t) * GELU_SCALE * (1.0 + 3.0 * GELU_CUBE * x * x)
        };
    // x log(x), which is 0 at 0.
    XLogX "xLogX" |x, _| if x == 0.0 { 0.0 } else { x * ln(x) }, |x, _, _| ln(x) + 1.0;
    Clamp "clamp"
        |x, [low, high]| { let x = if x < low { low } else { x }; if x > high { high } else { x } },
        |x, _, [low, high]| {
            // A bound that is left out is infinite.
            let above = x > low || low == f32::NEG_INFINITY;
            let below = x < high || high == f32::INFINITY;
            if above && below { 1.0 } else { 0.0 }
        };
    Power "power" |x, [n, _]| power(x, n), |x, _, [n, _]| if n == 0.0 { 0.0 } else { n * power(x, n - 1.0) };
    DivideBy "divideBy" |x, [by, _]| x / by, |_, _, [by, _]| 1.0 / by;
}

impl Unary {
    /// Whether a slope of 0 lets nothing through, as PyTorch's masks do: infinity times 0 would be NaN.
    const fn is_flat_at_slope_0(self) -> bool {
        matches!(self, Unary::Root | Unary::Hardswish | Unary::Clamp)
    }
}

const GELU_SCALE: f32 = 0.797_884_6;
const GELU_CUBE: f32 = 0.044_715;

fn gelu_inner(x: f32) -> f32 {
    GELU_SCALE * (x + GELU_CUBE * x * x * x)
}

/// -1, 0 or 1; NaN stays NaN.
fn sign(x: f32) -> f32 {
    if x > 0.0 {
        1.0
    } else if x < 0.0 {
        -1.0
    } else {
        x.abs()
    }
}

/// x^n, exact for the exponents that square and copy.
pub(crate) fn power(x: f32, n: f32) -> f32 {
    if n == 2.0 {
        x * x
    } else if n == 1.0 {
        x
    } else {
        x.powf(n)
    }
}
