-- The words of the texts of current resources, for _text and _content. Kept from the change feed, from the first search
-- that asks for words on: setting words_upto says how far.
create table resource_words (
  rid   bigint primary key,
  words tsvector             -- null where there are more than it holds
);
create index resource_words_words on resource_words using gin (words);
create index resource_words_more on resource_words (rid) where words is null;
