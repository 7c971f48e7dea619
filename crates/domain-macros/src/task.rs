//! `#[derive(Task)]`.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{DeriveInput, Field, Ident, LitStr, Path};

use crate::attribute::{count, read, required, value};
use crate::contract::Contract;
use crate::names::Form;
use crate::tenant::TenantSource;
use crate::{coalesce, crate_path, fields};

const EXAMPLE: &str = "#[task(topic = \"receipts\", name = \"send\", version = 1)]";
const KEYS: [&str; 7] = [
    "topic",
    "name",
    "version",
    "upcast",
    "order_key",
    "timeout_secs",
    "max_attempts",
];

pub(crate) fn derive(input: &DeriveInput) -> syn::Result<TokenStream> {
    let domain = crate_path::domain()?;
    let all = fields::of(input, "a task")?;
    let attribute = TaskAttribute::of(input)?;
    let tenant = TenantSource::of(input, &all)?;
    let order_key = attribute
        .order_key
        .as_ref()
        .map(|field| order_key(&domain, &all, field))
        .transpose()?;
    let coalescing = coalesce::method(&domain, input, &all, attribute.order_key.is_some())?;
    let retry_policy = attribute.max_attempts.map(|attempts| {
        quote! {
            fn retry_policy() -> #domain::tasks::RetryPolicy {
                #domain::tasks::RetryPolicy { max_attempts: #attempts, ..::core::default::Default::default() }
            }
        }
    });
    let timeout = attribute.timeout_secs.map(|seconds| {
        quote! {
            fn timeout() -> ::core::option::Option<::core::time::Duration> {
                ::core::option::Option::Some(::core::time::Duration::from_secs(#seconds))
            }
        }
    });
    let contract = Contract {
        input,
        fields: &all,
        wire_name: format!("{}/{}", attribute.topic.value(), attribute.name.value()),
        version: attribute.version,
        upcast: attribute.upcast,
        tenant,
    }
    .emit(&domain);
    let (name, topic, task) = (&input.ident, &attribute.topic, &attribute.name);
    Ok(quote! {
        #contract

        #[automatically_derived]
        impl #domain::tasks::Task for #name {
            const TOPIC: #domain::contract::TopicName = #domain::contract::TopicName::constant(#topic);
            const NAME: #domain::contract::TaskName = #domain::contract::TaskName::constant(#task);

            #order_key
            #coalescing
            #retry_policy
            #timeout
        }
    })
}

fn order_key(domain: &TokenStream, all: &[&Field], name: &Ident) -> syn::Result<TokenStream> {
    let field = fields::named(all, &name.to_string()).ok_or_else(|| {
        let names: Vec<String> = all.iter().map(|field| fields::ident(field).to_string()).collect();
        syn::Error::new(
            name.span(),
            format!("there is no field `{name}`; the fields are `{}`", names.join("`, `")),
        )
    })?;
    fields::refuse_sealed(field, "an order key")?;
    let key = quote_spanned!(field.ty.span()=> #domain::contract::OrderKey::of(&self.#name));
    Ok(quote! {
        fn order_key(&self) -> ::core::option::Option<#domain::contract::OrderKey> {
            ::core::option::Option::Some(#key)
        }
    })
}

/// `#[task(…)]`.
struct TaskAttribute {
    topic: LitStr,
    name: LitStr,
    version: u16,
    upcast: Option<Path>,
    order_key: Option<Ident>,
    timeout_secs: Option<u64>,
    max_attempts: Option<u32>,
}

impl TaskAttribute {
    fn of(input: &DeriveInput) -> syn::Result<Self> {
        let (mut topic, mut name, mut version, mut upcast) = (None::<LitStr>, None::<LitStr>, None, None);
        let (mut order_key, mut timeout_secs, mut max_attempts) = (None, None, None);
        read(input, "task", EXAMPLE, &KEYS, |key, meta| {
            match key {
                "topic" => topic = Some(value(meta, "the topic's name as a text, such as \"receipts\"")?),
                "name" => name = Some(value(meta, "the task's name as a text, such as \"send\"")?),
                "version" => version = Some(count(meta, "the payload's version, a number from 1 to 65535")?),
                "upcast" => upcast = Some(value(meta, "the path of a function")?),
                "order_key" => order_key = Some(value(meta, "the name of a field")?),
                "timeout_secs" => timeout_secs = Some(count(meta, "a number of seconds, at least 1")?),
                "max_attempts" => max_attempts = Some(count(meta, "a number of attempts, at least 1")?),
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        let topic = required(topic, input, "task", "topic")?;
        let name = required(name, input, "task", "name")?;
        Form::Kebab.check(&topic, "topic", "receipts")?;
        Form::Kebab.check(&name, "task name", "send")?;
        let version = required(version, input, "task", "version")?;
        Ok(Self {
            topic,
            name,
            version,
            upcast,
            order_key,
            timeout_secs,
            max_attempts,
        })
    }
}
