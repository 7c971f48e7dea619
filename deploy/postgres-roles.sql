-- The two roles of docs/guides/postgres.md, for the local stack of docker-compose.yml. The passwords are for that stack only.
CREATE ROLE aftercommit_engine LOGIN PASSWORD 'local' NOSUPERUSER NOBYPASSRLS;
CREATE ROLE aftercommit_app LOGIN PASSWORD 'local' NOSUPERUSER NOBYPASSRLS;
CREATE DATABASE aftercommit OWNER aftercommit_engine;
