//! Plain loops, compiled once for each SIMD level; the best level of the processor is chosen at run time.

/// Declares a function whose body is compiled for each SIMD level (x86-64 baseline, AVX2, AVX-512). A closure given to
/// `pulp` would do the same only if the compiler happens to inline it. Type parameters are written as `type T: Bound`.
macro_rules! vectorised {
    (
        $(#[$meta:meta])*
        $vis:vis fn $name:ident<$life:lifetime $(, const $flag:ident: $kind:ty)? $(, type $of:ident: $bound:path)*>($($arg:ident: $type:ty),+ $(,)?)
        $(-> $out:ty)? $body:block
    ) => {
        $(#[$meta])*
        #[allow(clippy::too_many_arguments, reason = "the inner loop of a kernel, with one caller")]
        $vis fn $name<$life $(, const $flag: $kind)? $(, $of: $bound)*>($($arg: $type),+) $(-> $out)? {
            struct Call<$life $(, const $flag: $kind)? $(, $of: $bound)*>($($type,)+ std::marker::PhantomData<&$life ()>);
            impl<$life $(, const $flag: $kind)? $(, $of: $bound)*> pulp::WithSimd for Call<$life $(, $flag)? $(, $of)*> {
                type Output = crate::vectorised::vectorised!(@out $($out)?);
                #[inline(always)]
                fn with_simd<S: pulp::Simd>(self, _: S) -> Self::Output {
                    let Self($($arg,)+ _) = self;
                    $body
                }
            }
            pulp::Arch::new().dispatch(Call::<$life $(, $flag)? $(, $of)*>($($arg,)+ std::marker::PhantomData))
        }
    };
    (@out) => { () };
    (@out $out:ty) => { $out };
}
pub(crate) use vectorised;
