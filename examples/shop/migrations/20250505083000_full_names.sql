-- The column says what it holds, and the lengths, which protected nothing, go. The view follows the rename by itself.
ALTER TABLE customers RENAME COLUMN name TO full_name;

ALTER TABLE customers ALTER COLUMN phone TYPE text USING nullif(regexp_replace(phone, '[^+0-9]', '', 'g'), '');

ALTER TABLE customers ADD COLUMN preferences jsonb NOT NULL DEFAULT '{"newsletter": false}';

-- Who came in the first days had asked for the newsletter on paper.
UPDATE customers
SET preferences = preferences || '{"newsletter": true}'
WHERE created_at < timestamptz '2024-01-11 00:00:00+00';
