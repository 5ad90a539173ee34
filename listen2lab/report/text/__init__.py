"""Words: the one room where records of codes and numbers become English."""
