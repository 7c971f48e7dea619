//! Where the emitted code finds the domain: users depend on the facade or on the domain itself, under any name.

use proc_macro_crate::{FoundCrate, crate_name};
use proc_macro2::{Ident, Span, TokenStream};
use quote::quote;

/// The path of the domain crate as the user's crate sees it.
pub(crate) fn domain() -> syn::Result<TokenStream> {
    path(crate_name("aftercommit-domain").ok(), || crate_name("aftercommit").ok()).ok_or_else(|| {
        syn::Error::new(
            Span::call_site(),
            "this derive needs `aftercommit` (or `aftercommit-domain`) in the `[dependencies]` of this crate's Cargo.toml",
        )
    })
}

fn path(domain: Option<FoundCrate>, facade: impl FnOnce() -> Option<FoundCrate>) -> Option<TokenStream> {
    match domain {
        // Its own tests and examples see it under its outside name, and it gives itself that name too.
        Some(FoundCrate::Itself) => return Some(quote!(::aftercommit_domain)),
        Some(FoundCrate::Name(name)) => return Some(path_to(&name)),
        None => {}
    }
    match facade() {
        Some(FoundCrate::Itself) => Some(quote!(::aftercommit::domain)),
        Some(FoundCrate::Name(name)) => {
            let facade = path_to(&name);
            Some(quote!(#facade::domain))
        }
        None => None,
    }
}

fn path_to(name: &str) -> TokenStream {
    let name = Ident::new(name, Span::call_site());
    quote!(::#name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_domain_is_found_under_any_name_and_behind_the_facade() {
        let name = |name: &str| Some(FoundCrate::Name(name.to_owned()));
        for (domain, facade, expected) in [
            (Some(FoundCrate::Itself), None, Some(":: aftercommit_domain")),
            (name("aftercommit_domain"), None, Some(":: aftercommit_domain")),
            (name("contracts"), name("aftercommit"), Some(":: contracts")),
            (None, name("aftercommit"), Some(":: aftercommit :: domain")),
            (None, name("backbone"), Some(":: backbone :: domain")),
            (None, Some(FoundCrate::Itself), Some(":: aftercommit :: domain")),
            (None, None, None),
        ] {
            let found = path(domain, || facade).map(|path| path.to_string());
            assert_eq!(found.as_deref(), expected);
        }
    }
}
