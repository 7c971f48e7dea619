//! Where the emitted code finds the domain: users depend on the facade or on the domain itself, under any name.

use proc_macro_crate::{FoundCrate, crate_name};
use proc_macro2::{Ident, Span, TokenStream};
use quote::quote;

/// The path of the domain crate as the user's crate sees it.
pub(crate) fn domain() -> syn::Result<TokenStream> {
    match crate_name("aftercommit-domain") {
        // Its own tests and examples see it under its outside name, and it gives itself that name too.
        Ok(FoundCrate::Itself) => return Ok(quote!(::aftercommit_domain)),
        Ok(FoundCrate::Name(name)) => return Ok(path_to(&name)),
        Err(_) => {}
    }
    match crate_name("aftercommit") {
        Ok(FoundCrate::Itself) => Ok(quote!(::aftercommit::domain)),
        Ok(FoundCrate::Name(name)) => {
            let facade = path_to(&name);
            Ok(quote!(#facade::domain))
        }
        Err(_) => Err(syn::Error::new(
            Span::call_site(),
            "this derive needs `aftercommit` (or `aftercommit-domain`) in the `[dependencies]` of this crate's Cargo.toml",
        )),
    }
}

fn path_to(name: &str) -> TokenStream {
    let name = Ident::new(name, Span::call_site());
    quote!(::#name)
}
