//! The proof that every field may be part of a payload.

use proc_macro2::{Group, Ident, TokenStream, TokenTree};
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Field, Generics};

/// Code that compiles only if each field's type implements `PayloadField`. Each check is spanned at the field's type, so
/// that the trait's own message, which says what to use instead, stands there.
pub(crate) fn assert_fields<'a>(
    domain: &TokenStream,
    owner: &Ident,
    generics: &Generics,
    fields: impl Iterator<Item = &'a Field>,
) -> TokenStream {
    let (impl_generics, type_generics, where_clause) = generics.split_for_impl();
    // `Self` has no meaning where the checks stand.
    let this = quote!(#owner #type_generics);
    let checks = fields.map(|field| {
        let ty = without_self(field.ty.to_token_stream(), &this);
        quote_spanned!(field.ty.span()=> _is_payload_field::<#ty>();)
    });
    // The leading underscores tell the compiler that nothing ever calls them.
    quote! {
        const _: () = {
            fn _is_payload_field<T: ?::core::marker::Sized + #domain::contract::PayloadField>() {}
            fn _fields_of_payload #impl_generics () #where_clause {
                #(#checks)*
            }
        };
    }
}

fn without_self(tokens: TokenStream, this: &TokenStream) -> TokenStream {
    tokens
        .into_iter()
        .flat_map(|token| match token {
            TokenTree::Ident(ident) if ident == "Self" => this.clone(),
            TokenTree::Group(group) => {
                let mut replaced = Group::new(group.delimiter(), without_self(group.stream(), this));
                replaced.set_span(group.span());
                TokenTree::Group(replaced).into()
            }
            TokenTree::Ident(_) | TokenTree::Punct(_) | TokenTree::Literal(_) => token.into(),
        })
        .collect()
}
