-- The first assortment.
INSERT INTO categories (slug, title) VALUES
    ('kitchen', 'Kitchen'),
    ('garden', 'Garden'),
    ('books', 'Books');

INSERT INTO categories (parent_id, slug, title)
SELECT id, 'cups', 'Cups; mugs and glasses' FROM categories WHERE slug = 'kitchen';

INSERT INTO categories (parent_id, slug, title)
SELECT id, 'seeds', 'Seeds' FROM categories WHERE slug = 'garden';

INSERT INTO products (category_id, sku, title, description, price_cents, attributes)
SELECT c.id, p.sku, p.title, p.description, p.price_cents, p.attributes::jsonb
FROM (VALUES
    ('kitchen', 'KIT-001', 'Bread knife',      'Serrated; 21 cm, beech handle',       3490, '{"length_mm": 210, "material": "steel"}'),
    ('kitchen', 'KIT-002', 'Cast iron pan',    'Heavy, for the rest of your life',    6900, '{"diameter_mm": 280, "weight_g": 2900}'),
    ('kitchen', 'KIT-003', 'Tea towel',        'Linen, it''s washable at 60 °C',      1250, '{"colour": "blue", "material": "linen"}'),
    ('cups',    'CUP-001', 'Enamel mug',       'For the garden and the desk',         1190, '{"colour": "white", "volume_ml": 350}'),
    ('cups',    'CUP-002', 'Espresso cup',     'Porcelain with saucer',               1450, '{"colour": "green", "volume_ml": 80}'),
    ('garden',  'GAR-001', 'Watering can',     'Zinc, with a fine rose',              4200, '{"volume_ml": 9000}'),
    ('garden',  'GAR-002', 'Hand trowel',      'Forged',                              1990, '{"material": "steel", "weight_g": 310}'),
    ('seeds',   'SEE-001', 'Tomato seeds',     'An old sort, ripe in August',          390, '{"sow": ["march", "april"]}'),
    ('seeds',   'SEE-002', 'Sunflower seeds',  'Two metres high',                      290, '{"sow": ["april", "may"]}'),
    ('books',   'BOO-001', 'The kitchen year', 'One soup for each week',              2800, '{"pages": 224}'),
    ('books',   'BOO-002', 'Small gardens',    'What grows on four square metres',    2400, '{"pages": 176}'),
    ('books',   'BOO-003', 'A field guide',    'Birds behind the house',              1900, '{"pages": 320}')
) AS p (category, sku, title, description, price_cents, attributes)
JOIN categories c ON c.slug = p.category;
