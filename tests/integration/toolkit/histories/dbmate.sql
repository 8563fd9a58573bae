-- dbmate 2.36.0: the database after `dbmate migrate`, by pg_dump.
SET check_function_bodies = false;
CREATE TABLE public.customers (
    id bigint NOT NULL,
    email text NOT NULL
);
ALTER TABLE public.customers ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.customers_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE public.schema_migrations (
    version character varying NOT NULL
);
INSERT INTO public.schema_migrations VALUES ('20250110090000');
INSERT INTO public.schema_migrations VALUES ('20250113093000');
SELECT pg_catalog.setval('public.customers_id_seq', 1, false);
ALTER TABLE ONLY public.customers
    ADD CONSTRAINT customers_email_key UNIQUE (email);
ALTER TABLE ONLY public.customers
    ADD CONSTRAINT customers_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.schema_migrations
    ADD CONSTRAINT schema_migrations_pkey PRIMARY KEY (version);
CREATE INDEX customers_email ON public.customers USING btree (lower(email));
