// Every verb, in the order in which --help lists them.

let allVerbs: [Verb] = [
    RunCommand.run, RunCommand.rerun, CheckCommand.check, CompareCommand.compare, ExportCommand.export,
    ScaleCommand.scale,
    ServicesCommand.startVerb, ServicesCommand.statusVerb, ServicesCommand.stopVerb, StageCommands.schemaCreate,
    StageCommands.schemaShow,
    StageCommands.schemaDrop, StageCommands.schemaCheck, StageCommands.seed, StageCommands.route,
    StageCommands.execute, PipelineCommands.feed, PipelineCommands.work, PipelineCommands.book,
    PipelineCommands.verify,
]
