"""What each mechanism means and what to do about it, in plain sentences: for the page, the terminal, the JSON, the guard.

A new mechanism gets its row here, and has then its words everywhere: its first sentence is what happened, the rest what to do.
"""

import re
from typing import NamedTuple


class Meaning(NamedTuple):
    """What happened, and what mostly cures it: a sentence each."""

    happened: str
    advice: str


_TEXTS = {
    # One table is defined twice
    "alias-two-module-names": "One file was imported under two module names. Import it under the same name everywhere.",
    "second-class-same-table-other-file": "Two files define the same table. "
    "Keep one of the two definitions, and import it where the other was used.",
    "second-class-same-table-same-file": "Two classes in one file define the same table. "
    "Merge the two classes into one.",
    "half-import-retried": "An import failed half way, the error was caught, and the module was imported again. "
    "Make the first import succeed: its error is the one to fix.",
    "half-defined-class": "A class failed to map, and its table stayed on the metadata. "
    "Make the first attempt succeed, or remove it.",
    "importlib-reload": "A module that registers names was loaded again. "
    "Keep models, metrics and routes out of what is reloaded.",
    "script-or-cell-run-again": "A script that registers names ran again in the same process. "
    "Move what it registers to a module that is imported.",
    "main-module-imported-again": "The file that was started is imported again by its module name. "
    "Register nothing in the entry point.",
    "file-loaded-again-by-path": "A loader executed a file that had already been imported. "
    "Import it by its real module name.",
    "test-runner-root-second-name": "The test runner imports the files under another module name than the application "
    "does. Give the folder the name that the application uses.",
    "reflected-before-declared": "A table was reflected before its class was declared. "
    "Reflect into a separate MetaData.",
    "module-and-package-side-by-side": "A module and a package with the same name both define the table. "
    "Remove the one that no import reaches.",
    "defined-inside-function-called-twice": "A function that registers a name was called twice. "
    "Register it at module level, or return what was made first.",
    "computed-table-name-collision": "Two classes compute the same table name. Name one of the tables explicitly.",
    "association-table-and-class": "A table and a class define the same association. "
    "Let the relationship use the class' table.",
    "fork-of-library-models-on-its-base": "A library's model and the application's own define the same table. "
    "Keep one of the two, and use it everywhere.",
    "model-declared-in-migration-script": "A migration script declares a model on the application's Base. "
    "Describe the table with sa.table() there.",
    "extend-existing-merged-two-models": "extend_existing merged two definitions. "
    "Give each class a table of its own, or keep one.",
    "race-in-lazy-definition": "Two threads registered the same name at the same time. "
    "Register it at module level, or under a lock.",
    # Tables and names that are not where they are looked for
    "table-on-metadata-alembic-does-not-migrate": "A table is on another MetaData than the one that is created, or "
    "that env.py gives to Alembic. Use one Base, or one SQLAlchemy object, or give env.py both; if two tables have the same "
    "name, rename one.",
    "model-module-not-imported-by-env": "env.py does not import every model. Import the missing module in env.py.",
    "ambiguous-class-name-in-registry": "Two classes share a name that a relationship uses. "
    "Rename one, or name the class with its module in the relationship.",
    "metadata-is-reserved": "A mapped class has an attribute called metadata. "
    "Rename the attribute, and keep the column's name.",
    "class-not-imported": "A relationship names a class whose module was not imported. "
    "Import that module before the mappers are configured.",
    "name-on-another-metadata": "A name is looked up on one MetaData and defined on another. "
    "Use one Base, or give the table object in place of its name.",
    "no-join-condition": "A relationship finds no foreign key between its two tables. "
    "Add the foreign key, or write the primaryjoin that is meant.",
    # Names that are taken, routes that are hidden
    "name-taken-in-registry": "Two different statements register the same name. "
    "Rename one, or give each a registry of its own.",
    "route-shadowed": "An earlier route matches first, so the later one is never reached. "
    "Include the more specific route first, or give it another path.",
    # Imports
    "circular-import": "Two modules import each other, and one asks for a name that the other has not defined yet. "
    "Move the shared name to a module that imports neither.",
    "import-failure-swallowed": "An import failed, the error was caught, and the application started without that "
    "module. Fix the import, and let its failure stop the startup.",
    "module-not-on-path": "The folder that holds the module is not on the import path of this step. "
    "Install the package, or put its folder on the path in every program that imports it.",
    "library-shadowed": "A file or folder of the application has the name of a library and is found first. "
    "Rename it, or start the program so that its folder is not on the path.",
    "api-removed-in-installed-version": "The code uses something that the installed version of a library does not "
    "have. Change the call, or install a version that has it.",
    # Migrations and the state of the database
    "several-heads": "Two migrations follow the same one, so there are several heads. "
    "Add a merge revision (alembic merge heads), and run the two in both orders.",
    "unknown-revision": "The database is at a revision that is not among the migration files. "
    "Restore the revision's file, or stamp the database with one that is there.",
    "migration-fails-on-data": "A migration passes on an empty table and fails on one with rows. "
    "Fill or convert the existing rows in the migration, before the constraint is added.",
    "created-by-two-revisions": "Two migrations create the same object. "
    "Remove it from the later one, or create it only where it is missing.",
    "created-outside-migrations": "Something else had created the object before its migration ran. "
    "Let only the migrations create tables: remove the create_all.",
    "startup-race": "Several processes do the same work on the database at the same time. "
    "Do this work once, before the processes start, or let each process take a lock first.",
    # Settings, drivers, logging
    "setting-missing": "A setting that the application needs is not set. "
    "Set the variable in every deployment, or give it a default in the settings.",
    "unknown-url-scheme": "SQLAlchemy does not know the scheme of the database's URL. "
    "Write the URL with the right scheme.",
    "driver-not-installed": "The driver that the database's URL names is not installed. "
    "Install it, or name the one that is installed.",
    "async-driver-in-sync-code": "The URL names an asynchronous driver, and the code uses it synchronously. "
    "Use the synchronous driver here, or create_async_engine.",
    "loggers-disabled": "logging.config.fileConfig disabled the loggers that were there before. "
    "Pass disable_existing_loggers=False.",
}
MEANINGS = {mechanism: Meaning(*re.split(r"(?<=\.) ", text, maxsplit=1)) for mechanism, text in _TEXTS.items()}
