-- The role that workers sign in as, and its database. It is no superuser, since row-level security, which fences
-- owners off from each other, holds for no superuser. The database's first start runs this.
\set password `cat /run/secrets/database-password`
CREATE ROLE rebookd LOGIN PASSWORD :'password';
CREATE DATABASE rebookd OWNER rebookd TEMPLATE template0 ENCODING 'UTF8';
