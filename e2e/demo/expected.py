"""What the shop's database holds and does after release 2.0.0: for each thing that a migration made, a query and its answer."""

from __future__ import annotations

from typing import NamedTuple


class Expectation(NamedTuple):
    """A query, and its rows; of a row with one column only the value."""

    what: str
    query: str
    rows: list[object]


class Sequel(NamedTuple):
    """Statements that build on each other, and the rows of the last one."""

    what: str
    queries: list[str]
    rows: list[object]


class Refusal(NamedTuple):
    """A statement, and the name of the error that it has to end with."""

    what: str
    query: str
    error: str


COLUMNS = """
    SELECT column_name::text FROM information_schema.columns
    WHERE table_schema = 'public' AND table_name = '{}' ORDER BY ordinal_position
"""

EXPECTATIONS = (
    Expectation(
        "tables",
        "SELECT relname::text FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') ORDER BY 1",
        [
            "addresses",
            "categories",
            "coupons",
            "customers",
            "order_items",
            "order_status_changes",
            "orders",
            "payments",
            "products",
            "stock_movements",
            "stock_movements_2024",
            "stock_movements_2025",
            "stock_movements_later",
        ],
    ),
    Expectation(
        "views",
        "SELECT relname::text FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('v', 'm') ORDER BY 1",
        ["order_summaries", "sales_by_month"],
    ),
    Expectation(
        "indexes of kinds that are easily lost: partial, expression, GIN, built concurrently",
        "SELECT indexname::text FROM pg_indexes JOIN pg_index ON indexrelid = indexname::regclass"
        " WHERE schemaname = 'public' AND indisvalid AND indexname IN ('addresses_one_default_idx',"
        " 'customers_email_lower_idx', 'orders_open_idx', 'payments_order_id_idx', 'products_search_idx') ORDER BY 1",
        [
            "addresses_one_default_idx",
            "customers_email_lower_idx",
            "orders_open_idx",
            "payments_order_id_idx",
            "products_search_idx",
        ],
    ),
    Expectation(
        "values of order_status, with the one of 2.0.0 last",
        "SELECT unnest(enum_range(NULL::order_status))::text",
        ["pending", "paid", "shipped", "delivered", "cancelled", "refunded"],
    ),
    Expectation(
        "columns of the view that 2.0.0 replaces",
        COLUMNS.format("order_summaries"),
        ["id", "placed_at", "status", "customer", "lines", "total", "coupon", "paid"],
    ),
    Expectation(
        "columns of customers, one of them renamed",
        COLUMNS.format("customers"),
        ["id", "email", "full_name", "phone", "created_at", "updated_at", "preferences"],
    ),
    Expectation(
        "types of columns that were changed",
        "SELECT attname::text, format_type(atttypid, atttypmod) FROM pg_attribute WHERE (attrelid, attname) IN"
        " (('products'::regclass, 'price'), ('order_items'::regclass, 'unit_price'), ('customers'::regclass, 'phone'))"
        " ORDER BY 1",
        [("phone", "text"), ("price", "numeric(12,2)"), ("unit_price", "numeric(12,2)")],
    ),
    Expectation(
        "rows imported: customers, orders, lines",
        "SELECT (SELECT count(*) FROM customers), (SELECT count(*) FROM orders), (SELECT count(*) FROM order_items)",
        [(40, 400, 800)],
    ),
    Expectation(
        "backfill: e-mail addresses in small letters, phone numbers without spaces",
        "SELECT count(*) FILTER (WHERE email = lower(email)), count(*) FILTER (WHERE phone ~ '^[+][0-9]+$') FROM customers",
        [(40, 30)],
    ),
    Expectation(
        "backfill: each order has the total of its lines; the sum of all",
        "SELECT count(*) FILTER (WHERE o.total = i.total), sum(o.total)::text FROM orders o"
        " JOIN (SELECT order_id, sum(line_total) AS total FROM order_items GROUP BY 1) i ON i.order_id = o.id",
        [(400, "33053.10")],
    ),
    Expectation(
        "backfill: payments, one for each order that is not pending",
        "SELECT count(*), count(refunded_at) FROM payments",
        [(350, 50)],
    ),
    Expectation(
        "backfill: orders by status, the cancelled and paid back ones refunded",
        "SELECT status::text, count(*) FROM orders GROUP BY status ORDER BY orders.status",
        [("pending", 50), ("paid", 50), ("shipped", 50), ("delivered", 200), ("refunded", 50)],
    ),
    Expectation(
        "the trigger of 1.0.0 recorded what the backfill of 2.0.0 changed",
        "SELECT count(*), count(*) FILTER (WHERE old_status = 'cancelled' AND new_status = 'refunded')"
        " FROM order_status_changes",
        [(450, 50)],
    ),
    Expectation(
        "backfill: coupons of the best customers",
        "SELECT count(*) FROM coupons WHERE code LIKE 'THANKS-%'",
        [10],
    ),
    Expectation(
        "stock movements, all in the partition of their year",
        "SELECT tableoid::regclass::text, count(*), sum(quantity) FROM stock_movements GROUP BY 1",
        [("stock_movements_2024", 512, 10999)],
    ),
    Expectation(
        "search by words finds the tomato, by attributes the steel",
        "SELECT string_agg(sku, ' ' ORDER BY sku) FROM products"
        " WHERE search @@ websearch_to_tsquery('english', 'tomatoes') OR attributes @> '{\"material\": \"steel\"}'",
        ["GAR-002 KIT-001 SEE-001"],
    ),
    Expectation(
        "the role for reporting may read the view, and not the payments",
        "SELECT has_table_privilege('shop_reporting', 'order_summaries', 'SELECT'),"
        " has_table_privilege('shop_reporting', 'payments', 'SELECT')",
        [(True, False)],
    ),
    Expectation(
        "everything in the schema belongs to the shop's own role",
        "SELECT DISTINCT pg_get_userbyid(relowner)::text FROM pg_class WHERE relnamespace = 'public'::regnamespace",
        ["shop"],
    ),
)

ORDER = [
    "INSERT INTO orders (customer_id, note) SELECT min(id), 'the demo' FROM customers",
    """INSERT INTO order_items (order_id, product_id, quantity, unit_price)
       SELECT o.id, p.id, 2, p.price FROM orders o CROSS JOIN products p
       WHERE o.note = 'the demo' AND p.sku IN ('BOO-001', 'SEE-002')""",
]
TOTAL = "SELECT lines, total::text FROM order_summaries ORDER BY id DESC LIMIT 1"

NEW_ORDER = (
    Sequel("trigger: a new order has the total of its two lines", [*ORDER, TOTAL], [(2, "61.80")]),
    Sequel(
        "trigger: the total follows when a line goes",
        [
            *ORDER,
            "DELETE FROM order_items WHERE unit_price < 3 AND order_id = (SELECT max(id) FROM orders)",
            TOTAL,
        ],
        [(1, "56.00")],
    ),
    Sequel(
        "trigger: each status of the order is recorded",
        [
            *ORDER,
            "UPDATE orders SET status = 'paid' WHERE note = 'the demo'",
            """SELECT c.old_status::text, c.new_status::text
               FROM order_status_changes c JOIN orders o ON o.id = c.order_id
               WHERE o.note = 'the demo' ORDER BY c.id""",
        ],
        [(None, "pending"), ("pending", "paid")],
    ),
    Sequel(
        "trigger: an edit moves updated_at, whatever it says itself",
        [
            "UPDATE products SET updated_at = '2000-01-01' WHERE sku = 'CUP-001'",
            "SELECT updated_at = now() FROM products WHERE sku = 'CUP-001'",
        ],
        [True],
    ),
)

REFUSED = (
    Refusal(
        "refused: a second account with the same e-mail address in capitals",
        "INSERT INTO customers (email, full_name) SELECT upper(email), full_name FROM customers LIMIT 1",
        "UniqueViolationError",
    ),
    Refusal(
        "refused: a second default address",
        "INSERT INTO addresses (customer_id, street, postcode, city, is_default)"
        " SELECT customer_id, street, postcode, city, true FROM addresses LIMIT 1",
        "UniqueViolationError",
    ),
    Refusal(
        "refused: an e-mail address without @",
        "INSERT INTO customers (email, full_name) VALUES ('nobody', 'Nobody')",
        "CheckViolationError",
    ),
    Refusal(
        # Not a deletion: what PostgreSQL 18 calls a violation of RESTRICT is one of the foreign key before.
        "refused: a product in a category that does not exist",
        "UPDATE products SET category_id = 0 WHERE sku = 'BOO-001'",
        "ForeignKeyViolationError",
    ),
)
