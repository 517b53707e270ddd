//! Loops over one, two or three arrays, compiled for each vector unit.

use crate::vectorised::vectorised;

vectorised! {
/// out[i] = f(x[i]).
pub(crate) fn map<'a, type F: Fn(f32) -> f32>(x: &'a [f32], out: &'a mut [f32], f: &'a F) {
    out.iter_mut().zip(x).for_each(|(out, x)| *out = f(*x));
}
}

vectorised! {
/// out[i] = f(a[i], b[i]).
pub(crate) fn zip<'a, type T: Copy, type F: Fn(f32, f32) -> T>(a: &'a [f32], b: &'a [f32], out: &'a mut [T], f: &'a F) {
    out.iter_mut().zip(a.iter().zip(b)).for_each(|(out, (a, b))| *out = f(*a, *b));
}
}

vectorised! {
/// out[i] = f(a[i], b[i], c[i]).
pub(crate) fn zip3<'a, type F: Fn(f32, f32, f32) -> f32>(
    a: &'a [f32],
    b: &'a [f32],
    c: &'a [f32],
    out: &'a mut [f32],
    f: &'a F,
) {
    let inputs = a.iter().zip(b).zip(c);
    out.iter_mut().zip(inputs).for_each(|(out, ((a, b), c))| *out = f(*a, *b, *c));
}
}
