-- Search by words and by attributes.
ALTER TABLE products ADD COLUMN search tsvector GENERATED ALWAYS AS (
    setweight(to_tsvector('english', title), 'A') || setweight(to_tsvector('english', description), 'B')
) STORED;

CREATE INDEX products_search_idx ON products USING gin (search);

CREATE INDEX products_attributes_idx ON products USING gin (attributes jsonb_path_ops);

UPDATE products
SET attributes = jsonb_set(attributes, '{weight_g}', '450')
WHERE attributes ? 'pages' AND NOT attributes ? 'weight_g';
