-- The database, the user of the migrations, and the user of the application, on MySQL or MariaDB. To be run once, by an administrator.
-- The history of the migrations is in the same database, and needs no further grant.

CREATE DATABASE shop;
CREATE USER shop_migrations IDENTIFIED BY 'change-me';
GRANT ALL PRIVILEGES ON shop.* TO shop_migrations;

CREATE USER shop IDENTIFIED BY 'change-me-too';
GRANT SELECT, INSERT, UPDATE, DELETE ON shop.* TO shop;
