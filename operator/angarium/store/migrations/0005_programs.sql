-- Which version of the program brought the database to each schema from this one on. Older programs read it to say what
-- is to be installed again, so its name and columns stay as they are.
CREATE TABLE migrations (
    schema  INTEGER PRIMARY KEY,
    program TEXT    NOT NULL
);
