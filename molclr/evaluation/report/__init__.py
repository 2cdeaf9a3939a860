"""One page of a run: `page` renders it from the parts that the other modules make of the files of the run."""
