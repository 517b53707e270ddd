//! Plain loops, compiled for each vector unit; the best one that the processor has is chosen at run time.

/// Declares a function whose body is compiled for each vector unit. A closure handed to `pulp` would do the same only
/// where the compiler happens to inline it.
macro_rules! vectorised {
    ($(#[$meta:meta])* $vis:vis fn $name:ident<$life:lifetime>($($arg:ident: $type:ty),+ $(,)?) $(-> $out:ty)? $body:block) => {
        $(#[$meta])*
        #[allow(clippy::too_many_arguments, reason = "the inside of a kernel, called in one place")]
        $vis fn $name<$life>($($arg: $type),+) $(-> $out)? {
            struct Call<$life>($($type,)+ std::marker::PhantomData<&$life ()>);
            impl<$life> pulp::WithSimd for Call<$life> {
                type Output = crate::vectorised::vectorised!(@out $($out)?);
                #[inline(always)]
                fn with_simd<S: pulp::Simd>(self, _: S) -> Self::Output {
                    let Self($($arg,)+ _) = self;
                    $body
                }
            }
            pulp::Arch::new().dispatch(Call($($arg,)+ std::marker::PhantomData))
        }
    };
    (@out) => { () };
    (@out $out:ty) => { $out };
}
pub(crate) use vectorised;
