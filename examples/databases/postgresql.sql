-- The database, the user of the migrations, and the user of the application. To be run once, with psql, by an administrator who may create
-- roles and databases:
--     psql --file=postgresql.sql "postgres://ADMINISTRATOR@HOST/postgres"

CREATE ROLE shop_migrations LOGIN PASSWORD 'change-me';
CREATE ROLE shop LOGIN PASSWORD 'change-me-too';

-- An administrator who is not a superuser can give a database only to a role that they are a member of.
GRANT shop_migrations TO CURRENT_USER;
CREATE DATABASE shop OWNER shop_migrations;

\connect shop
-- As it is from PostgreSQL 15 on. Before, only a superuser can do it: others get a warning, and the application can create tables, too.
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT USAGE, CREATE ON SCHEMA public TO shop_migrations;
GRANT USAGE ON SCHEMA public TO shop;

-- The application can use what the migrations create, and cannot change it.
ALTER DEFAULT PRIVILEGES FOR ROLE shop_migrations IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO shop;
ALTER DEFAULT PRIVILEGES FOR ROLE shop_migrations IN SCHEMA public GRANT USAGE, SELECT ON SEQUENCES TO shop;
