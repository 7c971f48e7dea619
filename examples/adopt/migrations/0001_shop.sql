create table customers (
    id      bigint generated always as identity primary key,
    shop_id bigint not null,
    name    text   not null,
    email   text   not null,
    unique (shop_id, email)
);

create table orders (
    id           bigint generated always as identity primary key,
    shop_id      bigint not null,
    store_id     bigint not null,
    customer_id  bigint not null references customers,
    status       text   not null default 'placed' check (status in ('placed', 'paid', 'cancelled')),
    total_cents  bigint not null check (total_cents > 0),
    currency     text   not null,
    placed_at    timestamptz not null default now(),
    paid_at      timestamptz,
    cancelled_at timestamptz
);

create index orders_of_a_store on orders (shop_id, store_id, id);

create table order_lines (
    order_id   bigint not null references orders,
    product    text   not null,
    quantity   bigint not null check (quantity > 0),
    unit_cents bigint not null check (unit_cents > 0),
    primary key (order_id, product)
);

create table payments (
    order_id     bigint primary key references orders,
    amount_cents bigint not null,
    paid_at      timestamptz not null default now()
);
