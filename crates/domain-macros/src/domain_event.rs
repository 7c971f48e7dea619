//! `#[derive(DomainEvent)]`.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{DeriveInput, LitStr, Path};

use crate::attribute::{count, read, required, value};
use crate::contract::Contract;
use crate::names::Form;
use crate::tenant::TenantSource;
use crate::{crate_path, fields};

const EXAMPLE: &str = "#[event(name = \"InvoicePaid\", version = 1, aggregate = \"invoice\")]";

pub(crate) fn derive(input: &DeriveInput) -> syn::Result<TokenStream> {
    let domain = crate_path::domain()?;
    let all = fields::of(input, "a domain event")?;
    let attribute = EventAttribute::of(input)?;
    let tenant = TenantSource::of(input, &all)?;
    let name = &input.ident;
    let aggregate_id = fields::marked(&all, "aggregate_id")?.ok_or_else(|| {
        syn::Error::new(
            name.span(),
            format!(
                "`{name}` has no aggregate id: mark the field that names the `{}` with `#[aggregate_id]`; \
                 events of one aggregate stay in order",
                attribute.aggregate.value()
            ),
        )
    })?;
    fields::refuse_sealed(aggregate_id, "an aggregate id")?;
    let contract = Contract {
        input,
        fields: &all,
        wire_name: attribute.name.value(),
        version: attribute.version,
        upcast: attribute.upcast,
        tenant,
    }
    .emit(&domain);
    let (event_name, aggregate) = (&attribute.name, &attribute.aggregate);
    let id = fields::ident(aggregate_id);
    let reference = quote_spanned! {aggregate_id.ty.span()=>
        #domain::contract::AggregateRef::new(<Self as #domain::events::DomainEvent>::AGGREGATE, &self.#id)
    };
    Ok(quote! {
        #contract

        #[automatically_derived]
        impl #domain::events::DomainEvent for #name {
            const NAME: #domain::contract::EventName = #domain::contract::EventName::constant(#event_name);
            const AGGREGATE: #domain::contract::AggregateType = #domain::contract::AggregateType::constant(#aggregate);

            fn aggregate(&self) -> #domain::contract::AggregateRef {
                #reference
            }
        }
    })
}

/// `#[event(…)]`.
struct EventAttribute {
    name: LitStr,
    version: u16,
    aggregate: LitStr,
    upcast: Option<Path>,
}

impl EventAttribute {
    fn of(input: &DeriveInput) -> syn::Result<Self> {
        let (mut name, mut version, mut aggregate, mut upcast) = (None::<LitStr>, None, None::<LitStr>, None);
        read(
            input,
            "event",
            EXAMPLE,
            &["name", "version", "aggregate", "upcast"],
            |key, meta| {
                match key {
                    "name" => name = Some(value(meta, "the event's name as a text, such as \"InvoicePaid\"")?),
                    "version" => version = Some(count(meta, "the payload's version, a number from 1 to 65535")?),
                    "aggregate" => {
                        aggregate = Some(value(meta, "the aggregate type as a text, such as \"invoice\"")?);
                    }
                    "upcast" => upcast = Some(value(meta, "the path of a function")?),
                    _ => return Ok(false),
                }
                Ok(true)
            },
        )?;
        let name = required(name, input, "event", "name")?;
        let aggregate = required(aggregate, input, "event", "aggregate")?;
        Form::Pascal.check(&name, "event name", "InvoicePaid")?;
        Form::Kebab.check(&aggregate, "aggregate type", "invoice")?;
        Ok(Self {
            name,
            version: required(version, input, "event", "version")?,
            aggregate,
            upcast,
        })
    }
}
