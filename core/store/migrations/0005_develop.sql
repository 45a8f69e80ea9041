-- What a flow that is a custom node shows of itself to those who look for one; null and '' are both nothing.

ALTER TABLE flows ADD COLUMN short_description text;
ALTER TABLE flows ADD COLUMN icon_data text;                    -- a data URI
ALTER TABLE flows ADD COLUMN docs_url text;
ALTER TABLE flows ADD COLUMN category text;
ALTER TABLE flows ADD COLUMN custom_node_supports text[];       -- null: not said; at most one of cloud and edge

ALTER TABLE deleted_flows ADD COLUMN short_description text;
ALTER TABLE deleted_flows ADD COLUMN icon_data text;
ALTER TABLE deleted_flows ADD COLUMN docs_url text;
ALTER TABLE deleted_flows ADD COLUMN category text;
ALTER TABLE deleted_flows ADD COLUMN custom_node_supports text[];
