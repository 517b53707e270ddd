//! Loops over one, two or three arrays, compiled for each vector unit.

use pulp::{Arch, Simd, WithSimd};

/// out[i] = f(x[i]).
pub(crate) fn map(x: &[f32], out: &mut [f32], f: &impl Fn(f32) -> f32) {
    struct Call<'a, F>(&'a [f32], &'a mut [f32], &'a F);
    impl<F: Fn(f32) -> f32> WithSimd for Call<'_, F> {
        type Output = ();
        #[inline(always)]
        fn with_simd<S: Simd>(self, _: S) {
            let Self(x, out, f) = self;
            out.iter_mut().zip(x).for_each(|(out, x)| *out = f(*x));
        }
    }
    Arch::new().dispatch(Call(x, out, f));
}

/// out[i] = f(a[i], b[i]).
pub(crate) fn zip<T>(a: &[f32], b: &[f32], out: &mut [T], f: &impl Fn(f32, f32) -> T) {
    struct Call<'a, T, F>(&'a [f32], &'a [f32], &'a mut [T], &'a F);
    impl<T, F: Fn(f32, f32) -> T> WithSimd for Call<'_, T, F> {
        type Output = ();
        #[inline(always)]
        fn with_simd<S: Simd>(self, _: S) {
            let Self(a, b, out, f) = self;
            out.iter_mut().zip(a.iter().zip(b)).for_each(|(out, (a, b))| *out = f(*a, *b));
        }
    }
    Arch::new().dispatch(Call(a, b, out, f));
}

/// out[i] = f(a[i], b[i], c[i]).
pub(crate) fn zip3(a: &[f32], b: &[f32], c: &[f32], out: &mut [f32], f: &impl Fn(f32, f32, f32) -> f32) {
    struct Call<'a, F>(&'a [f32], &'a [f32], &'a [f32], &'a mut [f32], &'a F);
    impl<F: Fn(f32, f32, f32) -> f32> WithSimd for Call<'_, F> {
        type Output = ();
        #[inline(always)]
        fn with_simd<S: Simd>(self, _: S) {
            let Self(a, b, c, out, f) = self;
            let inputs = a.iter().zip(b).zip(c);
            out.iter_mut().zip(inputs).for_each(|(out, ((a, b), c))| *out = f(*a, *b, *c));
        }
    }
    Arch::new().dispatch(Call(a, b, c, out, f));
}
