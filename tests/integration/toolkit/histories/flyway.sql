-- Flyway 12.10.0: the database after `flyway migrate`, by pg_dump.
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
CREATE TABLE public.flyway_schema_history (
    installed_rank integer NOT NULL,
    version character varying(50),
    description character varying(200) NOT NULL,
    type character varying(20) NOT NULL,
    script character varying(1000) NOT NULL,
    checksum integer,
    installed_by character varying(100) NOT NULL,
    installed_on timestamp without time zone DEFAULT now() NOT NULL,
    execution_time integer NOT NULL,
    success boolean NOT NULL
);
CREATE TABLE public.orders (
    id bigint NOT NULL,
    customer_id bigint NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    status text DEFAULT 'new'::text NOT NULL
);
CREATE VIEW public.open_orders AS
 SELECT orders.id,
    orders.customer_id,
    orders.created_at,
    orders.status
   FROM public.orders
  WHERE (orders.status = 'new'::text);
ALTER TABLE public.orders ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.orders_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
INSERT INTO public.flyway_schema_history VALUES (1, '1', 'create customers', 'SQL', 'V1__create_customers.sql', -340837740, 'shop', '2026-11-29 10:01:33.121361', 12, true);
INSERT INTO public.flyway_schema_history VALUES (2, '1.1', 'create orders', 'SQL', 'V1.1__create_orders.sql', -168580368, 'shop', '2026-11-29 10:01:33.197649', 8, true);
INSERT INTO public.flyway_schema_history VALUES (3, '2', 'add status', 'SQL', 'V2__add_status.sql', 926892530, 'shop', '2026-11-29 10:01:33.223889', 6, true);
INSERT INTO public.flyway_schema_history VALUES (4, '10', 'index status', 'SQL', 'V10__index_status.sql', 1503193383, 'shop', '2026-11-29 10:09:28.298289', 84, true);
INSERT INTO public.flyway_schema_history VALUES (5, NULL, 'open orders', 'SQL', 'R__open_orders.sql', 1076790981, 'shop', '2026-11-29 10:09:28.330856', 27, true);
SELECT pg_catalog.setval('public.customers_id_seq', 1, false);
SELECT pg_catalog.setval('public.orders_id_seq', 1, false);
ALTER TABLE ONLY public.customers
    ADD CONSTRAINT customers_email_key UNIQUE (email);
ALTER TABLE ONLY public.customers
    ADD CONSTRAINT customers_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.flyway_schema_history
    ADD CONSTRAINT flyway_schema_history_pk PRIMARY KEY (installed_rank);
ALTER TABLE ONLY public.orders
    ADD CONSTRAINT orders_pkey PRIMARY KEY (id);
CREATE INDEX flyway_schema_history_s_idx ON public.flyway_schema_history USING btree (success);
CREATE INDEX orders_status ON public.orders USING btree (status);
ALTER TABLE ONLY public.orders
    ADD CONSTRAINT orders_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES public.customers(id);
